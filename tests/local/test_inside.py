"""Searches in logs: the deployed function reads objects of the emulated S3."""

import gzip
import json
from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from local.twilio import StandIn
from tests.local.conftest import OTHER_PHONE, PHONE, Deploy, System, until

ERROR = b"INFO begins\nERROR: payment gateway refused, password=hunter2\nERROR: again\n"
FINE = b"INFO all is well\n"


@pytest.fixture(scope="module")
def system(emulator: Emulator, shared_twilio: StandIn) -> Iterator[System]:
    """A deployed program that looks for ERROR. Each test counts only its own texts."""
    deployed = System(
        emulator,
        shared_twilio,
        contains="ERROR",
        message="$key $count: $line",
        filterSuffix=".log,.log.gz",
        maxTextsAtOnce="1000",
        maxTextsPerHour="1000",
    )
    yield deployed
    deployed.destroy()


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("app/web.log", ERROR),
        ("app/web.log.gz", gzip.compress(FINE) + gzip.compress(ERROR)),
        ("a b/ü+c//d.log", "\ufeff".encode("utf-16-le") + ERROR.decode().encode("utf-16-le")),
        ("large.log", FINE * 300_000 + ERROR),
    ],
)
def test_the_line_of_an_uploaded_log_is_texted(system: System, key: str, content: bytes) -> None:
    before = len(system.twilio.texts)
    system.aws["s3"].put_object(Bucket=system.outputs["bucket"], Key="fine.log", Body=FINE)
    system.aws["s3"].put_object(Bucket=system.outputs["bucket"], Key=key, Body=content)
    text = system.texts(before + 1)[before]
    assert text.body == f"{key} 2: ERROR: payment gateway refused, password=***"
    assert "hunter2" not in json.dumps(system.logged("notify"))


def test_a_log_with_nothing_inside_is_decided_and_not_texted(system: System) -> None:
    before = len(system.twilio.texts)
    system.aws["s3"].put_object(Bucket=system.outputs["bucket"], Key="only-fine.log", Body=FINE)
    until(
        lambda: [
            line
            for line in system.logged("notify")
            if (line.get("outcome"), line.get("key")) == ("nothing inside", "only-fine.log")
        ],
        "nothing inside",
    )
    assert len(system.twilio.texts) == before


def test_a_log_that_is_gone_is_texted_with_the_reason(system: System) -> None:
    before = len(system.twilio.texts)
    system.notify(system.event("gone.log"))
    assert system.texts(before + 1)[before].body == "gone.log 0+: (not read: it is gone)"


def test_a_log_that_was_replaced_is_texted_with_the_reason(system: System) -> None:
    """The event's eTag is not the object's."""
    before = len(system.twilio.texts)
    system.aws["s3"].put_object(Bucket=system.outputs["bucket"], Key="replaced.txt", Body=ERROR)
    system.notify(system.event("replaced.txt"))
    assert system.texts(before + 1)[before].body == "replaced.txt 0+: (not read: it was replaced)"


def test_routes_text_what_they_find_and_a_summary_counts_the_lines(deploy: Deploy) -> None:
    routes = [
        {"name": "errors", "logs": "*", "toNumbers": PHONE, "contains": "ERROR"},
        {"name": "all", "logs": "*", "toNumbers": OTHER_PHONE, "contains": "INFO"},
    ]
    system = deploy(routes=json.dumps(routes), toNumbers="", mode="digest", message="$line")
    for key, content in (("a.log", ERROR), ("b.log", ERROR), ("c.log", FINE)):
        system.aws["s3"].put_object(Bucket=system.outputs["bucket"], Key=key, Body=content)
    system.decided("held", count=5)
    system.flush()
    bodies = {text.to: text.body for text in system.texts(2)}
    assert "2 more logs since " in bodies[PHONE]
    assert ", 4 lines with ERROR: a.log, b.log" in bodies[PHONE]
    assert ", 3 lines with INFO: a.log, b.log, c.log" in bodies[OTHER_PHONE]
