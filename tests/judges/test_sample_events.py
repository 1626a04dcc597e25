"""The handler finds the log files in AWS's sample events, and nothing else."""

import datetime
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from handler import events, queue_messages
from handler.events import LogFile, Unreadable
from handler.notice import Notice
from simulation.samples import OTHER_PHONE, PHONE
from tests.judges import tools

Reader = Callable[[object], Iterable[LogFile | Unreadable]]

CREATED = LogFile(
    bucket="sourcebucket",
    key="Happy Face.jpg",
    size=1024,
    time=datetime.datetime(1970, 1, 1, 0, 0, 0, 123000, tzinfo=datetime.UTC),
    version="version",
    sequencer="Happy Sequencer",
    tag="d41d8cd98f00b204e9800998ecf8427e",
)
FILES = {
    "s3-event.json": [CREATED],
    "s3-event-with-decoded.json": [CREATED],
    "s3-glacier-event.json": [],
    "s3-restore-event.json": [],
    "s3-lifecycle-event.json": [],
    "s3-intelligenttier-event.json": [],
    "s3-replication-event.json": [],
}
"""The files in the samples of S3's notifications. Other samples are of other services."""


@pytest.fixture(scope="module")
def samples() -> dict[str, Any]:
    def read() -> Iterator[tuple[str, Any]]:
        for path in sorted(Path(tools.sample_events()).glob("*.json")):
            if "malformed" not in path.name:
                yield path.name, json.loads(path.read_text())

    return dict(read())


def objections(samples: dict[str, Any], read: Reader) -> list[str]:
    """Return the samples that are read wrongly, with the results."""
    found = []
    for name, event in samples.items():
        items = list(read(event))
        if name in FILES and items != FILES[name]:
            found.append(f"{name} is read as {items}")
        if name not in FILES and not all(isinstance(item, Unreadable) for item in items):
            found.append(f"{name} is no event of S3's, and is read as {items}")
    return found


def test_every_sample_of_s3_is_read_into_its_files_and_no_other_is(samples: dict[str, Any]) -> None:
    assert len(samples) > 80
    assert FILES.keys() <= samples.keys()
    assert objections(samples, events.read) == []


def test_no_sample_of_another_service_is_silently_ignored(samples: dict[str, Any]) -> None:
    others = samples.keys() - FILES
    assert [name for name in others if not list(events.read(samples[name]))] == []


def test_a_sample_in_lambdas_envelope_becomes_a_notice_for_each_phone(
    samples: dict[str, Any],
) -> None:
    envelope = {"requestContext": {}, "requestPayload": samples["s3-event.json"]}
    phones = (PHONE, OTHER_PHONE)
    read = list(queue_messages.read(json.dumps(envelope), lambda _key: phones))
    assert read == [Notice(CREATED, phone) for phone in phones]


def test_a_message_of_another_program_is_unreadable(samples: dict[str, Any]) -> None:
    bodies = [record["body"] for record in samples["sqs-event.json"]["Records"]]
    assert bodies
    for body in bodies:
        (item,) = queue_messages.read(body)
        assert isinstance(item, Unreadable)


# Objections of the judge


def read_without_decoding(event: object) -> list[LogFile | Unreadable]:
    return [
        item._replace(key=item.key.replace(" ", "%20")) if isinstance(item, LogFile) else item
        for item in events.read(event)
    ]


def read_whatever_names_an_object(event: Any) -> list[LogFile | Unreadable]:
    text = json.dumps(event).replace("s3:ObjectRestore:Completed", "ObjectCreated:Put")
    return list(events.read(json.loads(text)))


@pytest.mark.parametrize("read", [read_without_decoding, read_whatever_names_an_object])
def test_a_mistake_of_the_reader_is_found(samples: dict[str, Any], read: Reader) -> None:
    assert len(objections(samples, read)) == 2
