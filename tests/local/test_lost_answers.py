"""Twilio accepts a text, but its answer is lost or the function is killed.

Each text still arrives exactly once. A flush asks Twilio a minute after the attempt at the
earliest. The tests change the ledger instead of waiting.
"""

import contextlib
import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.emulator import LONG_TIMEOUTS, Emulator
from local.storm import files_in
from local.twilio import ACCOUNT_SID, StandIn
from local.twilio_api import Text
from local.twilio_faults import (
    ERROR_AFTER_TEXT,
    LIST_DOWN,
    RESET_AFTER_TEXT,
    SILENCE_AFTER_TEXT,
)
from tests.local.conftest import OTHER_PHONE, PHONE, SECRET, Deploy, System, until
from tests.local.operated import output_of

THIRD_PHONE = "+15005550102"
PHONES = (PHONE, OTHER_PHONE, THIRD_PHONE)

LOST_ANSWERS = tuple(
    dataclasses.replace(fault, phone=phone)
    for fault, phone in zip(
        (ERROR_AFTER_TEXT, RESET_AFTER_TEXT, SILENCE_AFTER_TEXT), PHONES, strict=True
    )
)
"""One fault per phone: an error, a broken connection, and no answer."""


def files_on_phones(texts: list[Text]) -> dict[str, tuple[int, ...]]:
    """Return the number of files in each text to each phone."""
    return {
        phone: tuple(files_in(text.body) for text in texts if text.to == phone) for phone in PHONES
    }


class Killer:
    """Kills a function when Twilio has accepted its first text, before the answer is sent.

    Attributes:
        system: The system whose function it kills. Set it before the first text.
        killed: The number of processes that it killed.
    """

    def __init__(self, function: str) -> None:
        """Prepare it to kill `notify` or `flush`."""
        self._function = function
        self.system: System | None = None
        self.killed = 0

    def __call__(self, _text: Text) -> None:
        assert self.system
        if not self.killed:
            name = self.system.outputs[f"{self._function}Function"]
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    if f"ministack-lambda-{name}-" in (process / "cmdline").read_text():
                        os.kill(int(process.name), signal.SIGKILL)
                        self.killed += 1


@contextlib.contextmanager
def killed(emulator: Emulator, function: str, **settings: str) -> Iterator[tuple[System, Killer]]:
    """Deploy the program, with a stand-in that kills a function right after its first text."""
    killer = Killer(function)
    with StandIn(credentials={ACCOUNT_SID: SECRET}, on_text=killer) as twilio:
        killer.system = system = System(emulator, twilio, **settings)
        yield system, killer
        system.destroy()


def flushed(system: System) -> list[Text]:
    """Run a flush. Return the texts so far."""
    system.flush()
    return system.twilio.texts


def settle(system: System) -> None:
    """Flush until nothing is held. A flush that comes too early finds nothing to do."""

    def held() -> list[dict[str, Any]]:
        system.flush()
        return system.on("held")

    until(held, "nothing is held", lambda messages: not messages)


@pytest.mark.parametrize("is_trial", [False, True], ids=["paid", "trial"])
def test_texts_whose_answers_notify_loses_arrive_once(deploy: Deploy, *, is_trial: bool) -> None:
    system = deploy(toNumbers=",".join(PHONES))
    system.twilio.is_trial = is_trial
    system.twilio.fault(*LOST_ANSWERS)
    system.upload("app/web.log")
    lines = system.decided("held", count=3)
    assert {line["reason"] for line in lines} == {"in doubt"}
    system.flush()  # too early to ask
    assert system.on("held")
    system.pass_a_minute()
    shown = output_of("status", system)
    assert "In doubt: 3" in shown
    assert shown.count("by the next flush") == 3
    system.twilio.fault(LIST_DOWN)
    system.flush()  # Twilio cannot be asked, so nothing is repeated
    assert system.on("held")
    system.twilio.end_fault()
    settle(system)
    assert "In doubt: nothing." in output_of("status", system)
    assert files_on_phones(system.twilio.texts) == dict.fromkeys(PHONES, (1,))
    assert system.twilio.requests == 3
    assert system.on("failed") == []


def test_summaries_whose_answers_flush_loses_arrive_once(deploy: Deploy) -> None:
    system = deploy(toNumbers=",".join(PHONES), mode="digest")
    for number in range(3):
        system.upload(f"app/{number}.log")
    system.decided("held", count=9)
    system.twilio.fault(*LOST_ANSWERS)
    # After the same failure for two phones, a flush leaves the third to the next flush.
    until(lambda: flushed(system), "each phone has a summary", lambda texts: len(texts) >= 3)
    assert files_on_phones(system.twilio.texts) == dict.fromkeys(PHONES, (3,))
    assert output_of("status", system).count("a summary") == 3
    system.upload("app/later.log")
    system.decided("held", count=12)
    system.flush()  # too early to ask, so the later file waits, too
    assert len(system.twilio.texts) == 3
    system.pass_a_minute()
    system.twilio.end_fault()
    settle(system)
    assert files_on_phones(system.twilio.texts) == dict.fromkeys(PHONES, (3, 1))
    assert system.on("failed") == []


@pytest.fixture(scope="module")
def retrying() -> Iterator[Emulator]:
    """An emulator that tries a killed function again within seconds."""
    options = {"LAMBDA_ASYNC_RETRY_BASE_SECONDS": "10", "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "20"}
    with Emulator(options=LONG_TIMEOUTS | options) as running:
        yield running


def test_a_text_arrives_once_although_notify_is_killed_right_after_it(retrying: Emulator) -> None:
    with killed(retrying, "notify") as (system, killer):
        system.upload("app/web.log")
        system.texts(1)
        system.change_ledger("lease", lambda _: 1, items=1)
        (line,) = system.decided("held")
        assert line["reason"] == "in doubt"
        system.pass_a_minute()
        settle(system)
        assert len(system.twilio.texts) == system.twilio.requests == killer.killed == 1
        assert system.on("failed") == []


def test_a_summary_arrives_once_although_flush_is_killed_right_after_it(retrying: Emulator) -> None:
    with killed(retrying, "flush", mode="digest") as (system, killer):
        # Otherwise the messages of the killed flush stay hidden for four minutes.
        system.aws["sqs"].set_queue_attributes(
            QueueUrl=system.outputs["heldQueue"], Attributes={"VisibilityTimeout": "5"}
        )
        for number in range(3):
            system.upload(f"app/{number}.log")
        system.decided("held", count=3)
        answer = system.aws["lambda"].invoke(FunctionName=system.outputs["flushFunction"])
        assert "FunctionError" in answer
        until(lambda: len(system.on("held")) == 3, "SQS shows them again")
        system.pass_a_minute()
        settle(system)
        assert [files_in(text.body) for text in system.twilio.texts] == [3]
        assert system.twilio.requests == killer.killed == 1
        assert system.on("failed") == []
