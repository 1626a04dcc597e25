"""A text says which file, how big, when and where, in one segment, and harms nobody's phone."""

import datetime
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.text import GSM, GSM_EXTENSION, LONGEST, segments, write
from local import twilio
from tests.unit.fakes import MESSAGE, log_file

keys = st.text(min_size=1, max_size=1024)
gsm_keys = st.text(st.sampled_from(sorted(GSM | GSM_EXTENSION)), min_size=1, max_size=1024)


def written(key: str, message: str = MESSAGE, **changes: object) -> str:
    return write(log_file(key, **changes), message, datetime.UTC)


def test_a_text_says_which_file_how_big_when_and_where() -> None:
    assert written("app/web.log") == (
        "New log app/web.log, 1.2 MB, 23 Nov 14:05 UTC in logs-1a2b3c4"
    )


@given(keys, st.text("abc-", min_size=3, max_size=63), st.integers(0, 5 * 10**15))
def test_a_text_takes_one_segment_whatever_the_key(key: str, bucket: str, size: int) -> None:
    assert segments(written(key, bucket=bucket, size=size)) == 1


@given(gsm_keys)
def test_a_key_in_gsm_7_keeps_the_text_in_gsm_7(key: str) -> None:
    assert set(written(key)) <= GSM | GSM_EXTENSION


@given(keys, st.text(max_size=3000), st.text(st.characters(categories=["Ll"]), max_size=63))
def test_no_text_is_longer_than_twilio_takes(key: str, words: str, bucket: str) -> None:
    message = words.replace("$", "$$") + "$key $name"
    assert len(written(key, message, bucket=bucket)) <= LONGEST


@given(keys)
def test_whatever_a_key_holds_the_text_is_one_printable_line(key: str) -> None:
    assert written(key, "$key").isprintable()


@pytest.mark.parametrize("nasty", ["\n", "\r\n", "\x00", "\x1b[31m", "\u202e", "\ud800", "\u2028"])
def test_control_characters_are_harmless(nasty: str) -> None:
    body = written(f"a{nasty}b.log", "$key")
    assert body.isprintable()
    assert body.startswith("a")
    assert body.endswith("b.log")
    body.encode()


def test_a_long_key_is_cut_in_the_middle() -> None:
    key = "production/eu-central-1/" + "very-long-folder/" * 20 + "payments-service.log"
    body = written(key)
    assert segments(body) == 1
    assert segments(body + "xx") > 1  # no shorter than it must be
    assert "New log production/eu-central-1" in body
    assert "..." in body
    assert "payments-service.log, 1.2 MB" in body


def test_a_key_is_not_cut_below_what_tells_files_apart() -> None:
    message = "x" * 150 + " $key"
    body = written("a" * 100 + ".log", message)
    assert segments(body) == 2
    assert len(body) > 200  # a second segment is paid for, so it is used


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("naïve.log", "naive.log"),
        ("Ünïcode “quoted” \u2013 dash….log", 'Ünicode "quoted" - dash....log'),
        ("tick`s.log", "tick's.log"),
        ("a\u00a0b.log", "a b.log"),
        ("ﬁle.log", "file.log"),
    ],
)
def test_lookalikes_do_not_double_the_bill(key: str, said: str) -> None:
    assert written(key, "$key") == said


@pytest.mark.parametrize("key", ["日誌/ﬁle\u20131.log", "журнал.log", "🔥.log"])
def test_what_gsm_7_cannot_say_stays_as_it_is(key: str) -> None:
    assert written(key, "$key") == key


def test_the_name_is_the_last_part_of_the_key() -> None:
    assert written("app/2026/web.log", "$name") == "web.log"
    assert written("folder/", "$name") == "folder"
    assert written("/", "$name") == "/"


def test_a_dollar_in_a_key_is_a_dollar() -> None:
    assert written("$bucket.log", "$key") == "$bucket.log"


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (None, "size unknown"),
        (0, "empty"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (34_000_000, "34 MB"),
        (5_000_000_000_000, "5.0 TB"),
        (5_000_000_000_000_000, "5000 TB"),
    ],
)
def test_a_size_is_said_as_people_do(size: int | None, said: str) -> None:
    assert written("a", "$size", size=size) == said


def test_the_time_is_that_of_the_reader() -> None:
    file = log_file(time=datetime.datetime(2026, 7, 1, 23, 30, tzinfo=datetime.UTC))
    assert write(file, "$time", zoneinfo.ZoneInfo("Europe/Berlin")) == "02 Jul 01:30 CEST"


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 80 + "a", 2),
        ("`" * 70, 1),
        ("`" * 71, 2),
        ("ж" * 134, 2),
        ("ж" * 135, 3),
        ("🔥" * 35, 1),
        ("🔥" * 36, 2),
    ],
)
def test_segments_are_counted_as_they_are_billed(body: str, count: int) -> None:
    assert segments(body) == count


@given(
    st.text(st.sampled_from(sorted(GSM | GSM_EXTENSION)), min_size=1)
    | st.text(st.sampled_from("a€ж🔥"), min_size=1)
    | st.text(min_size=1),
    st.integers(1, 400),
)
def test_the_stand_in_for_twilio_bills_what_we_count(part: str, length: int) -> None:
    body = (part * length)[:length]
    assert twilio.segments(body) == segments(body)


@pytest.mark.parametrize("character", [*sorted(GSM | GSM_EXTENSION), "ж", "🔥"])
def test_each_character_takes_as_much_room_there_as_here(character: str) -> None:
    for count in (35, 36, 70, 71, 80, 81, 160, 161):
        assert twilio.segments(character * count) == segments(character * count)


def test_a_key_is_never_cut_below_a_date() -> None:
    assert "2026-11-23.log" in written("2026-11-23.log", "x" * 155 + "$key")
