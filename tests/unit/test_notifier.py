"""Every log file to every phone: each ends as it must, and the log says so."""

import json
from typing import Any

import pytest

from handler import log
from handler.notifier import NotAllSettled, Notifier
from handler.refusals import NO_CONNECTION, refusal
from tests.unit.fakes import OTHER_PHONE, PHONE, FakeSender, record, settings

STOPPED = refusal(400, 21610)
Lines = list[dict[str, Any]]


def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def outcomes(logged: Lines) -> list[tuple[str, str | None]]:
    return [(line["outcome"], line.get("phone")) for line in logged]


def test_every_phone_is_texted_about_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    sender = FakeSender()
    Notifier(settings(), sender).notify({"Records": [record("a.log"), record("b.log")]})
    assert [phone for phone, _ in sender.sent] == [PHONE, OTHER_PHONE] * 2
    assert ["a.log" in body for _, body in sender.sent] == [True, True, False, False]
    assert outcomes(lines(capsys)) == [("sent", "…0100"), ("sent", "…0101")] * 2


def test_a_phone_that_can_never_be_texted_stops_no_other_and_is_not_retried(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sender = FakeSender({PHONE: STOPPED})
    Notifier(settings(), sender).notify({"Records": [record("a.log")]})
    assert [phone for phone, _ in sender.sent] == [OTHER_PHONE]
    failed, _ = lines(capsys)
    assert failed["outcome"] == "failed"
    assert failed["level"] == "ERROR"
    assert failed["code"] == 21610
    assert failed["meaning"] == "the recipient replied STOP"


def test_what_may_be_accepted_later_is_left_for_lambdas_retry(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sender = FakeSender({PHONE: NO_CONNECTION})
    with pytest.raises(NotAllSettled, match="1 left"):
        Notifier(settings(), sender).notify({"Records": [record("a.log")]})
    assert [phone for phone, _ in sender.sent] == [OTHER_PHONE]
    assert outcomes(lines(capsys)) == [("not sent", "…0100"), ("sent", "…0101")]


def test_an_unreadable_record_stops_no_other_and_is_not_lost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sender = FakeSender()
    event = {"Records": [record("a.log", eventVersion="9.0"), record("b.log")]}
    with pytest.raises(NotAllSettled, match="1 left"):
        Notifier(settings(), sender).notify(event)
    assert len(sender.sent) == 2
    assert lines(capsys)[0] == {
        "level": "ERROR",
        "outcome": "unreadable",
        "reason": "its eventVersion is not 2.x",
    }


def test_the_test_event_of_s3_texts_nobody() -> None:
    sender = FakeSender()
    Notifier(settings(), sender).notify({"Event": "s3:TestEvent"})
    assert sender.tried == []


def test_the_times_in_a_text_are_those_of_the_setting() -> None:
    sender = FakeSender()
    Notifier(settings(timezone="Asia/Tokyo"), sender).notify({"Records": [record("a.log")]})
    assert "23 Nov 23:05 JST" in sender.sent[0][1]


def test_a_log_line_has_all_to_search_for_and_no_whole_number_or_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sender = FakeSender()
    Notifier(settings(to_numbers=(PHONE,)), sender).notify({"Records": [record("a%0Ab.log")]})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    line = json.loads(printed)
    assert line.pop("seconds") > 0
    assert line == {
        "level": "INFO",
        "outcome": "sent",
        "bucket": "logs-1a2b3c4",
        "key": "a\nb.log",
        "size": 1024,
        "phone": "…0100",
        "sid": "SM" + "0" * 31 + "1",
        "segments": 1,
    }
    assert PHONE not in printed
    assert sender.sent[0][1] not in printed


def test_a_masked_number_shows_four_digits() -> None:
    assert log.masked("+4915112345678") == "…5678"
