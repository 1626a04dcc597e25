"""Outages, storms, quiet hours: held notices arrive in one summary, and nothing is lost."""

import collections
import datetime
import json
import re
import subprocess
import time
from typing import Any

import pytest

from local.emulator import LONG_TIMEOUTS, Emulator
from local.storm import files_in, storm
from local.twilio import ACCOUNT_SID, StandIn
from local.twilio_api import Text
from local.twilio_faults import BROKEN, BUSY, RESET, UNAUTHORIZED, UNAVAILABLE, Fault
from tests.local.conftest import (
    OTHER_PHONE,
    PHONE,
    SECRET,
    Deploy,
    System,
    leave_time_in_this_hour,
    pass_a_minute,
    until,
)

SCHEDULE = "aws:scheduler/schedule:Schedule"
SMALL_STORM = 24
STORM = 120  # files; `make storm` has ten thousand


def files_texted(texts: list[Text]) -> dict[str, int]:
    """Count the files in the texts to each phone."""
    files: collections.Counter[str] = collections.Counter()
    for text in texts:
        files[text.to] += files_in(text.body)
    return dict(files)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (BUSY, "20429"),
        (BROKEN, "20500"),
        (UNAVAILABLE, "503"),
        (UNAUTHORIZED, "20003"),
        (RESET, "0"),
        (Fault(status=504, delay=11), "0"),
    ],
    ids=["429", "500", "503", "401", "reset", "timeout"],
)
def test_an_outage_ends_with_one_summary_for_each_phone(
    deploy: Deploy, fault: Fault, code: str
) -> None:
    system = deploy(toNumbers=f"{PHONE},{OTHER_PHONE}")
    system.twilio.fault(fault)
    for number in range(3):
        system.upload(f"app/{number}.log")
    lines = system.decided("held", count=6)
    assert code in {line.get("code") for line in lines}
    assert system.twilio.texts == []
    system.twilio.end_fault()
    system.pass_a_minute()  # a flush first asks Twilio about doubtful attempts
    system.flush()
    assert files_texted(system.texts(2)) == {PHONE: 3, OTHER_PHONE: 3}
    assert len(system.twilio.texts) == 2
    assert system.on("held") == []
    system.flush()
    assert len(system.twilio.texts) == 2


def test_a_flush_during_an_outage_keeps_everything(deploy: Deploy) -> None:
    system = deploy(mode="digest")
    for number in range(3):
        system.upload(f"app/{number}.log")
    system.decided("held", count=3)
    system.twilio.fault(UNAUTHORIZED)
    system.flush()
    system.twilio.end_fault()
    system.flush()  # the messages are visible again at once
    assert files_texted(system.twilio.texts) == {PHONE: 3}


def test_over_the_limit_the_rest_comes_in_one_summary(deploy: Deploy) -> None:
    leave_time_in_this_hour()
    system = deploy(maxTextsPerHour="2")
    for number in range(7):
        system.upload(f"app/{number}.log")
    system.decided("held", "sent", count=7)
    assert len(system.twilio.texts) == 2
    system.flush()
    assert files_texted(system.texts(3)) == {PHONE: 7}
    assert re.fullmatch(
        r"5 more logs since .*: app/ 5\. Last: app/\d\.log", system.twilio.texts[2].body
    )


def test_in_digest_mode_one_file_is_texted_as_itself_by_the_flush(deploy: Deploy) -> None:
    system = deploy(mode="digest")
    system.upload("app/web.log")
    (line,) = system.decided("held")
    assert line["reason"] == "digest"
    assert system.twilio.texts == []
    system.flush()
    assert system.texts(1)[0].body.startswith("New log app/web.log, ")


def test_in_quiet_hours_every_text_is_held(deploy: Deploy) -> None:
    now = datetime.datetime.now(datetime.UTC)
    start, end = now - datetime.timedelta(hours=1), now + datetime.timedelta(hours=1)
    system = deploy(quietHours=f"{start:%H:%M}-{end:%H:%M}")
    system.upload("app/web.log")
    (line,) = system.decided("held")
    assert line["reason"] == "quiet hours"
    system.flush()
    assert system.twilio.texts == []
    assert len(system.on("held")) == 1


def test_the_schedule_runs_the_flush(deploy: Deploy) -> None:
    """A second schedule with the same target runs at once, so the test need not wait."""
    system = deploy(mode="digest")
    system.upload("app/web.log")
    system.decided("held")
    scheduler = system.aws["scheduler"]
    found = scheduler.get_schedule(Name=system.resource(SCHEDULE, "flush").state["name"])
    assert (found["State"], found["ScheduleExpression"]) == ("ENABLED", "rate(5 minutes)")
    at_once = f"{found['Name']}-at-once"
    scheduler.create_schedule(
        Name=at_once,
        ScheduleExpression=f"at({datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow=found["FlexibleTimeWindow"],
        Target=found["Target"],
    )
    system.texts(1)
    scheduler.delete_schedule(Name=at_once)


def test_failed_messages_are_texted_after_a_redrive(deploy: Deploy) -> None:
    """The messages are a refused text and an event in Lambda's envelope."""
    system = deploy()
    event = system.event("envelope.log")
    envelope = {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event}
    refused: dict[str, Any] = {
        "file": {
            "bucket": "b",
            "key": "refused.log",
            "size": 1,
            "time": "2026-11-23T14:05:09+00:00",
            "version": "",
            "sequencer": "0A",
        },
        "phone": PHONE,
        "reason": "phone",
        "code": "21610",
    }
    # The effect of SQS's redrive: the emulator has no StartMessageMoveTask.
    for body in (envelope, refused):
        system.aws["sqs"].send_message(
            QueueUrl=system.outputs["heldQueue"], MessageBody=json.dumps(body)
        )
    until(lambda: len(system.on("held")) == 2, "both on the queue")
    system.flush()
    assert files_texted(system.texts(1)) == {PHONE: 2}


def test_an_event_that_lambda_gives_up_on_fails_in_its_envelope(deploy: Deploy) -> None:
    system = deploy(mode="digest")
    system.aws["sqs"].delete_queue(QueueUrl=system.outputs["heldQueue"])
    system.made = [one for one in system.made if one.name != "texts-held"]
    system.upload("app/web.log")
    until(lambda: system.on("failed"), "the envelope")
    (envelope,) = system.on("failed")
    assert envelope["requestContext"]["condition"] == "RetriesExhausted"
    (record,) = envelope["requestPayload"]["Records"]
    assert record["s3"]["object"]["key"] == "app/web.log"


def test_a_storm_costs_each_phone_its_limit_and_one_summary(emulator: Emulator) -> None:
    result = storm(emulator, STORM, phones=2, maxTextsPerHour="5")
    for phone in result["phones"].values():
        assert phone["files"] == STORM
        assert phone["texts"] <= 2 * 5 + 1  # an hour may end meanwhile


def test_in_a_storm_with_lost_answers_nobody_is_told_twice(emulator: Emulator) -> None:
    result = storm(emulator, SMALL_STORM, phones=3, lose=3, before_flush=pass_a_minute)
    assert result["lost_answers"]
    assert {phone["files"] for phone in result["phones"].values()} == {SMALL_STORM}


def test_a_text_that_a_killed_function_had_not_sent_is_sent_by_a_flush() -> None:
    """The first retry finds the lease held. The next one comes after its end.

    Lambda waits one and two minutes before its retries. This emulator waits seconds.
    """
    options = {"LAMBDA_ASYNC_RETRY_BASE_SECONDS": "10", "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "20"}
    with (
        Emulator(options=LONG_TIMEOUTS | options) as emulator,
        StandIn(credentials={ACCOUNT_SID: SECRET}) as twilio,
    ):
        system = System(emulator, twilio)
        twilio.fault(Fault(status=503, delay=20), times=1)
        system.upload("app/web.log")
        until(lambda: twilio.requests, "the function asks Twilio")
        process = f"ministack-lambda-{system.outputs['notifyFunction']}-"
        subprocess.run(["pkill", "-KILL", "-f", process], check=True)
        until(lambda: "is being sent" in json.dumps(system.logged("notify")), "the first retry")
        assert twilio.texts == []
        system.change_ledger("lease", lambda _: 1, items=1)
        (line,) = system.decided("held")
        assert line["reason"] == "in doubt"
        system.pass_a_minute()
        system.flush()  # Twilio has no such text
        (text,) = system.texts(1)
        assert "app/web.log" in text.body
        assert system.on("held") == []


def test_a_flush_logs_each_delivery_once(deploy: Deploy) -> None:
    system = deploy(toNumbers=f"{PHONE},{OTHER_PHONE}")
    system.twilio.undeliverable[OTHER_PHONE] = 30003
    system.upload("app/web.log")
    system.texts(2)
    system.decided("sent", count=2)
    in_an_hour = int(time.time()) + 3600
    system.change_ledger("ask_at", lambda _: in_an_hour, items=2)
    system.flush()
    assert not [one for one in system.logged("flush") if "delivered" in one.get("outcome", "")]
    system.change_ledger("ask_at", lambda _: 1, items=2)
    for _ in range(2):
        system.flush()
    lines = [one for one in system.logged("flush") if "delivered" in one.get("outcome", "")]
    assert {(one["outcome"], one["phone"]) for one in lines} == {
        ("delivered", "…0100"),
        ("undelivered", "…0101"),
    }
    assert len(lines) == 2
