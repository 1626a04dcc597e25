"""Outages, storms, quiet hours: what is held comes back as one summary, and nothing is lost."""

import collections
import datetime
import json
import re
import subprocess
from typing import Any

import pytest

from handler.ledger import LEASE_SECONDS
from local.emulator import Emulator
from local.storm import files_in, storm
from local.twilio import ACCOUNT_SID, StandIn
from local.twilio_api import Text
from local.twilio_faults import BROKEN, BUSY, RESET, UNAUTHORIZED, UNAVAILABLE, Fault
from tests.local.conftest import (
    OTHER_PHONE,
    PHONE,
    SECONDS,
    SECRET,
    Deploy,
    System,
    until,
)


def told(texts: list[Text]) -> dict[str, int]:
    """How many files each phone was told of."""
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
    system.flush()
    assert told(system.texts(2)) == {PHONE: 3, OTHER_PHONE: 3}
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
    system.flush()  # at once: it finds what the first one gave back
    assert told(system.twilio.texts) == {PHONE: 3}


def test_over_the_limit_the_rest_comes_in_one_summary(deploy: Deploy) -> None:
    system = deploy(maxTextsPerHour="2")
    for number in range(7):
        system.upload(f"app/{number}.log")
    system.decided("held", "sent", count=7)
    assert len(system.twilio.texts) == 2
    system.flush()
    assert told(system.texts(3)) == {PHONE: 7}
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
    system = deploy(mode="digest", flushMinutes="1")
    system.upload("app/web.log")
    assert system.twilio.wait_for(1, seconds=90)


def test_what_failed_is_texted_after_a_redrive(deploy: Deploy) -> None:
    """Whatever is there: a refused text, and an event in Lambda's envelope."""
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
    # What SQS's redrive does: the emulator has no StartMessageMoveTask.
    for body in (envelope, refused):
        system.aws["sqs"].send_message(
            QueueUrl=system.outputs["heldQueue"], MessageBody=json.dumps(body)
        )
    until(lambda: len(system.on("held")) == 2, "both on the queue")
    system.flush()
    assert told(system.texts(1)) == {PHONE: 2}


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
    result = storm(emulator, 2000, maxTextsPerHour="5")
    for phone in result["phones"].values():
        assert phone["files"] == 2000
        assert phone["texts"] <= 2 * 5 + 1  # an hour may end meanwhile


def test_a_function_that_is_killed_is_tried_again_after_its_lease() -> None:
    """Lambda tries again after one and two minutes; here too early at first, and then not."""
    options = {"LAMBDA_ASYNC_RETRY_BASE_SECONDS": "16", "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "60"}
    with (
        Emulator(options=options) as emulator,
        StandIn(credentials={ACCOUNT_SID: SECRET}) as twilio,
    ):
        system = System(emulator, twilio)
        twilio.fault(Fault(status=503, delay=20), times=1)
        system.upload("app/web.log")
        until(lambda: twilio.requests, "the function asks Twilio")
        process = f"ministack-lambda-{system.outputs['notifyFunction']}-"
        subprocess.run(["pkill", "-KILL", "-f", process], check=True)
        (text,) = twilio.wait_for(1, seconds=LEASE_SECONDS + SECONDS)
        assert "app/web.log" in text.body
        assert system.on("held") == []


def test_a_flush_logs_each_delivery_once(deploy: Deploy) -> None:
    system = deploy(toNumbers=f"{PHONE},{OTHER_PHONE}")
    system.twilio.undeliverable[OTHER_PHONE] = 30003
    system.upload("app/web.log")
    system.texts(2)
    system.decided("sent", count=2)
    system.flush()
    assert not [one for one in system.logged("flush") if "delivered" in one.get("outcome", "")]
    _let_a_minute_pass(system, texts=2)
    for _ in range(2):
        system.flush()
    lines = [one for one in system.logged("flush") if "delivered" in one.get("outcome", "")]
    assert {(one["outcome"], one["phone"]) for one in lines} == {
        ("delivered", "…0100"),
        ("undelivered", "…0101"),
    }
    assert len(lines) == 2


def _let_a_minute_pass(system: System, *, texts: int) -> None:
    """Make it time to ask after accepted texts."""
    table = system.resource("aws:dynamodb/table:Table", "ledger").id

    def open_ones() -> list[dict[str, Any]]:
        found = system.aws["dynamodb"].scan(TableName=table)["Items"]
        return [item for item in found if "ask_at" in item]

    until(lambda: len(open_ones()) == texts, f"{texts} texts to ask after")
    for item in open_ones():
        system.aws["dynamodb"].update_item(
            TableName=table,
            Key={"id": item["id"]},
            UpdateExpression="SET ask_at = :then",
            ExpressionAttributeValues={":then": {"N": "1"}},
        )
