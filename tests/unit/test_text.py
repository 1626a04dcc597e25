"""A text names file, size, time and bucket in one segment, without dangerous characters."""

import datetime
import string
import unicodedata
import zoneinfo
from collections import Counter
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.events import Found
from handler.segments import GSM, GSM_EXTENSION, segments
from handler.text import DEFAULT_MESSAGE, MAX_CHARACTERS, summarize, write
from local import segments as networks
from simulation.samples import MESSAGE, TIME, log_file

GSM_ALL = GSM | GSM_EXTENSION

# Characters as readers count them, by script.
SCRIPTS = {
    "GSM-7": ["a", "Z", "/", "-", "é", "Ω", "€", "[", "|"],
    "Latin": ["ï", "q\u0300", "\u201c", "\u2013", "\ufb01", "e"],
    "Cyrillic": ["ж", "Щ", "и\u0306\u0301", "/", "9"],
    "Greek": ["ζ", "Ώ", "ϋ\u0301", "/"],
    "Chinese": ["日", "誌", "\U00020000", "葛\U000e0100"],
    "Korean": ["로", "그", "/"],
    "Persian": ["ی\u200cخ", "و", "م", "ک\u200cک"],
    "Hindi": ["नि", "क्\u200dष", "स्त", "लॉ", "ग"],
    "Thai": ["ที่", "ก", "น้ำ"],
    "emoji": [
        "🔥",
        "👍🏽",
        "👍🏻",
        "👍🏿",
        "❤️",
        "1\ufe0f\u20e3",
        "🇩🇪",
        "👩🏽\u200d💻",
        "👨\u200d👩\u200d👧\u200d👦",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ],
}
written_in = {
    name: st.lists(st.sampled_from(characters), min_size=1, max_size=120)
    for name, characters in SCRIPTS.items()
}
MESSAGES = [
    MESSAGE,
    "$key",
    "New: $name in $bucket ($key)",
    "Ж $key",
    "\u201c$key\u201d \u2013 $size in $bucket",
    "x" * 150 + " $key",
    "ж" * 100 + " $name/$key",
]

keys = st.text(min_size=1, max_size=1024) | st.sampled_from([*written_in]).flatmap(
    lambda name: written_in[name].map("".join)
)
gsm_keys = st.text(st.sampled_from(sorted(GSM_ALL)), min_size=1, max_size=1024)


def written(key: str, message: str = MESSAGE, **changes: object) -> str:
    return write(log_file(key, **changes), message, datetime.UTC)


def test_a_text_says_which_file_how_big_when_and_where() -> None:
    assert written("app/web.log") == (
        "New log app/web.log, 1.2 MB, 23 Nov 14:05 UTC in logs-1a2b3c4"
    )


@given(keys, st.text("abc-", min_size=3, max_size=63), st.integers(0, 5 * 10**15))
def test_a_text_about_any_key_takes_one_segment(key: str, bucket: str, size: int) -> None:
    assert segments(written(key, bucket=bucket, size=size)) == 1


@given(gsm_keys)
def test_a_key_in_gsm_7_keeps_the_text_in_gsm_7(key: str) -> None:
    assert set(written(key)) <= GSM_ALL


@given(keys, st.text(max_size=3000), st.text(st.characters(categories=["Ll"]), max_size=63))
def test_no_text_is_longer_than_twilio_accepts(key: str, words: str, bucket: str) -> None:
    message = words.replace("$", "$$") + "$key $name"
    assert len(written(key, message, bucket=bucket)) <= MAX_CHARACTERS


@given(keys)
def test_a_text_about_any_key_is_one_printable_line(key: str) -> None:
    """The only unprintable characters are joiners and the letters of a flag, which are harmless."""
    body = written(key, "$key")
    invisible = {character for character in body if not character.isprintable()}
    assert invisible <= {"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))}


def shortest_wording(message: str, body: str) -> str:
    """Return a message with names of 14 characters, in the alphabet of a body."""
    filler = ("a" if set(body) <= GSM_ALL else "ж") * 14
    names = {"key": filler, "name": filler, "bucket": filler, "size": "1.2 MB"}
    return string.Template(message).substitute(names, time="23 Nov 14:05 UTC")


def cost(body: str) -> int:
    """Return the segments of a body, on which two independent counts must agree."""
    assert segments(body) == networks.segments(body)
    return segments(body)


@pytest.mark.parametrize("script", SCRIPTS)
@given(
    data=st.data(),
    bucket=st.text("abc-", min_size=3, max_size=63),
    message=st.sampled_from(MESSAGES),
)
def test_a_text_never_takes_more_segments_than_its_shortest_wording(
    script: str, data: st.DataObject, bucket: str, message: str
) -> None:
    key = data.draw(keys | written_in[script].map("".join))
    body = written(key, message, bucket=bucket)
    assert cost(body) <= cost(shortest_wording(message, body))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_long_key_takes_one_segment_in_every_script(script: str) -> None:
    body = written("".join(SCRIPTS[script]) * 40, bucket="logs-of-the-payments-service")
    assert cost(body) == 1
    assert "..." in body


@pytest.mark.parametrize("script", SCRIPTS)
@given(data=st.data(), message=st.sampled_from(MESSAGES))
def test_a_text_is_whole_or_the_next_longer_one_would_cost_more(
    script: str, data: st.DataObject, message: str
) -> None:
    folders = data.draw(st.lists(written_in[script], min_size=1, max_size=3))
    body = written("/".join(map("".join, folders)) * 10, message)
    if "..." in body:
        letters = {letter for part in chain(*folders) for letter in written(part, "$key")}
        # The next letter may be the first one outside GSM-7, which turns the text into UCS-2.
        next_letter = "x" if letters <= GSM_ALL or not set(body) <= GSM_ALL else "ж"
        widest = max(len(part.encode("utf-16-le")) // 2 for part in SCRIPTS[script])
        one_more = next_letter * (message.count("$") * max(widest, 2) + cost(body))
        assert cost(body + one_more) > cost(body)


def test_a_key_is_cut_before_a_letter_that_would_double_the_bill() -> None:
    message = "x" * 150 + " "
    body = written("////ж///////" * 10, message + "$key")
    assert body == message + "////...///////"
    assert (cost(body), cost(message + "////...ж///////")) == (2, 3)


@pytest.mark.parametrize("script", SCRIPTS)
@given(data=st.data())
def test_a_cut_splits_nothing_that_a_reader_takes_for_one_character(
    script: str, data: st.DataObject
) -> None:
    characters = [
        unicodedata.normalize("NFC", character)
        for character in data.draw(written_in[script]) * 30
        if character != "\u201c"
    ]
    message = "ж" * 30 + "$key"  # UCS-2: no letter is replaced
    head, cut, tail = written("".join(characters), message)[30:].partition("...")
    if cut:
        outcomes = range(len(characters) + 1)
        assert head in ["".join(characters[:end]) for end in outcomes]
        assert tail in ["".join(characters[end:]) for end in outcomes]


def test_a_bucket_is_not_cut_when_the_text_fits() -> None:
    bucket = "logs-of-the-payments-service-in-frankfurt-1a2b3c4"
    assert written("a.log", bucket=bucket).endswith(f" in {bucket}")


def test_a_long_bucket_is_cut_no_more_than_it_must_be() -> None:
    body = written("a.log", "x" * 110 + "$key in $bucket", bucket="b" * 63)
    assert cost(body) == 1
    assert cost(body + "x") == 2


@pytest.mark.parametrize(
    "key",
    [
        "می\u200cخواهم.log",  # noqa: RUF001  # Arabic letters
        "👩🏽\u200d💻/👨\u200d👩\u200d👧.log",
        "❤️\u200d🔥.log",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f.log",
        "क्\u200dष.log",
    ],
)
def test_joiners_stay_where_they_join(key: str) -> None:
    assert written(key, "$key") == key
    assert key in summarize([log_file(key), log_file(key)], datetime.UTC)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a\u200db.log", "a?b.log"),
        ("\u200dж", "?ж"),
        ("ж\u200d\u200dж", "ж\u200d?ж"),
        ("ü\u200cb.log", "üb.log"),  # a joiner would turn the text into UCS-2
        ("ж\u202e\u200dж", "ж??ж"),
        ("ж\U000e0067", "ж?"),
    ],
)
def test_a_joiner_that_joins_nothing_is_not_texted(key: str, expected: str) -> None:
    assert written(key, "$key") == expected


@pytest.mark.parametrize(
    "control",
    [
        "\u202a",
        "\u202b",
        "\u202c",
        "\u202d",
        "\u202e",
        "\u2066",
        "\u2067",
        "\u2068",
        "\u2069",
        "\u200e",
        "\u200f",
        "\u061c",
    ],
)
def test_bidirectional_controls_are_removed(control: str) -> None:
    assert control not in written(f"می{control}خواهم.log", f"{control}$key")


def test_a_decomposed_name_is_texted_composed_and_in_gsm_7() -> None:
    key = unicodedata.normalize("NFD", "Übergabe Köln/é.log")
    body = written(key)
    assert "Übergabe Köln/é.log" in body
    assert set(body) <= GSM_ALL


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("\u201cNew\u201d log\u00a0\u2013 $key\u2026", '"New" log - a.log...'),
        ("`$key`", "'a.log'"),
        ("Naïve:\t$key\n$size", "Naive: a.log\n1.2 MB"),
        ("\u200b\ufeff$key\u00ad\u202e", "a.log"),
        ("Fu\u0308r $key", "Für a.log"),
        ("$key\u0301", "a.log"),
        ("$name\u0301 is new", "a.log is new"),
    ],
)
def test_a_message_is_cleaned_like_its_values(message: str, expected: str) -> None:
    assert written("a.log", message) == expected
    assert "x" * 100 + ".log" in written("x" * 100 + ".log", message)


def test_only_the_placeholders_of_a_message_decide_its_alphabet() -> None:
    assert written("日誌/naïve.log", "$name") == "naive.log"
    assert written("日誌/naïve.log", "$key") == "日誌/naïve.log"


def test_a_folder_is_one_folder_however_it_is_composed() -> None:
    folders = [unicodedata.normalize(form, "Köln/") for form in ("NFC", "NFD")]
    keys = [f"{folder}{name}" for folder in folders for name in "ab"]
    assert ": Köln/a 2, Köln/b 2" in summarize([log_file(key) for key in keys], datetime.UTC)
    body = summarize([log_file(key + name) for key in keys for name in "cd"], datetime.UTC)
    assert ": Köln/ 8. Last: Köln/a" in body
    assert cost(body) == 1


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
    assert segments(body + "xx") > 1  # not shorter than necessary
    assert "New log production/eu-central-1" in body
    assert "..." in body
    assert "payments-service.log, 1.2 MB" in body


def test_a_cut_key_fills_its_segment_and_keeps_more_of_its_end() -> None:
    assert written("a" * 200 + "b" * 200, "$key") == "a" * 62 + "..." + "b" * 95


@pytest.mark.parametrize(
    ("character", "message"),
    [("a", "$name "), ("ж", "$name "), ("👩🏽\u200d💻", "ж $name ")],
)
def test_a_text_that_is_too_long_for_twilio_ends_with_a_whole_character(
    character: str, message: str
) -> None:
    body = written("a.log", message + character * MAX_CHARACTERS)
    units = len(body.encode("utf-16-le")) // 2
    assert MAX_CHARACTERS - 7 < units <= MAX_CHARACTERS
    assert body.endswith(character)


def test_a_cut_key_still_distinguishes_files() -> None:
    message = "x" * 150 + " $key"
    body = written("a" * 100 + ".log", message)
    assert segments(body) == 2
    assert len(body) > 200  # the second segment is used


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("naïve.log", "naive.log"),
        ("Ünïcode “quoted” \u2013 dash….log", 'Ünicode "quoted" - dash....log'),
        ("tick`s.log", "tick's.log"),
        ("a\u00a0b.log", "a b.log"),
        ("ﬁle.log", "file.log"),
    ],
)
def test_characters_with_a_lookalike_in_gsm_7_are_replaced(key: str, expected: str) -> None:
    assert written(key, "$key") == expected


@pytest.mark.parametrize("key", ["日誌/ﬁle\u20131.log", "журнал.log", "🔥.log"])
def test_characters_without_a_lookalike_in_gsm_7_stay_unchanged(key: str) -> None:
    assert written(key, "$key") == key


def test_the_name_is_the_last_part_of_the_key() -> None:
    assert written("app/2026/web.log", "$name") == "web.log"
    assert written("folder/", "$name") == "folder"
    assert written("/", "$name") == "/"


def test_a_dollar_in_a_key_is_a_dollar() -> None:
    assert written("$bucket.log", "$key") == "$bucket.log"


@pytest.mark.parametrize(
    ("size", "expected"),
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
        (1_500_000_000, "1.5 GB"),
        (5_000_000_000_000, "5.0 TB"),
        (5_000_000_000_000_000, "5000 TB"),
    ],
)
def test_a_size_is_rounded_to_a_readable_unit(size: int | None, expected: str) -> None:
    assert written("a", "$size", size=size) == expected


def test_a_text_shows_the_time_in_the_given_zone() -> None:
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
    st.text(st.sampled_from(sorted(GSM_ALL)), min_size=1)
    | st.text(st.sampled_from("a€ж🔥"), min_size=1)
    | st.text(min_size=1),
    st.integers(1, 400),
)
def test_the_stand_in_for_twilio_counts_the_same_segments(part: str, length: int) -> None:
    body = (part * length)[:length]
    assert networks.segments(body) == segments(body)


@pytest.mark.parametrize("character", [*sorted(GSM_ALL), "ж", "🔥"])
def test_the_stand_in_counts_each_character_alike(character: str) -> None:
    for count in (35, 36, 70, 71, 80, 81, 160, 161):
        assert networks.segments(character * count) == segments(character * count)


def test_a_key_is_never_cut_below_a_date() -> None:
    assert "2026-11-23.log" in written("2026-11-23.log", "x" * 155 + "$key")


def test_a_summary_shows_the_time_in_the_given_zone() -> None:
    files = [log_file(key) for key in ("a.log", "b.log")]
    body = summarize(files, zoneinfo.ZoneInfo("Asia/Kathmandu"))
    assert body == "2 more logs since 23 Nov 19:50 +0545: a.log, b.log"


def test_a_folder_in_a_summary_is_the_first_of_a_key() -> None:
    files = [log_file(key) for key in ("app/a/1.log", "app/b/2.log", "app/c/2.log", "3.log")]
    assert ": app/ 3, / 1. Last: " in summarize(files, datetime.UTC)


@given(
    st.lists(st.sampled_from(["app/a.log", "db/b.log", "c.log"]), min_size=2, max_size=300),
    st.lists(st.sampled_from(["one", "two", ""]), min_size=300, max_size=300),
)
def test_a_summary_of_up_to_three_logs_names_each(keys: list[str], routes: list[str]) -> None:
    files = [log_file(key, time=TIME.replace(minute=at % 60)) for at, key in enumerate(keys)]
    body = summarize(files, datetime.UTC, routes[: len(keys)])
    start, _, named = body.partition("UTC: ")
    assert start.startswith(f"{len(keys)} more logs since ")
    found = [place.partition(" ") for place in named.split(", ")]
    assert {key: int(number or 1) for key, _, number in found} == Counter(keys)
    assert segments(body) == 1


def test_the_logs_in_a_summary_are_in_the_order_of_their_uploads() -> None:
    files = [log_file(f"{minute}.log", time=TIME.replace(minute=minute)) for minute in (30, 59, 10)]
    assert summarize(files, datetime.UTC) == (
        "3 more logs since 23 Nov 14:10 UTC: 10.log, 30.log, 59.log"
    )


def test_a_summary_over_several_routes_counts_by_route() -> None:
    keys = ["payments/a.log", "payments/b.log", "backup/a.log", "app/a.log", "app/b.log"]
    files = [log_file(key) for key in keys]
    routes = ["payments", "payments", "payments", "default", "backup"]
    assert summarize(files, datetime.UTC, routes) == (
        "5 more logs since 23 Nov 14:05 UTC: payments 3, default 1, backup 1. Last: payments/a.log"
    )


def test_a_summary_over_one_route_counts_by_folder() -> None:
    files = [log_file(key) for key in ("app/a.log", "app/b.log", "db/a.log", "db/b.log")]
    body = summarize(files, datetime.UTC, ["payments"] * 4)
    assert ": app/ 2, db/ 2. Last: " in body


@pytest.mark.parametrize(
    ("message", "found", "body"),
    [
        (
            MESSAGE,
            Found(3, "ERROR: payment gateway refused"),
            "New log app/web.log, 1.2 MB, 23 Nov 14:05 UTC: ERROR: payment gateway refused",
        ),
        (
            MESSAGE,
            Found(note="not read: it is archived"),
            "New log app/web.log, 1.2 MB, 23 Nov 14:05 UTC: (not read: it is archived)",
        ),
        (
            MESSAGE,
            Found(3, "ERROR: one", "only the first 64 MB read"),
            "New log app/web.log, 1.2 MB, 23 Nov 14:05 UTC: ERROR: one (only the first 64 MB read)",
        ),
        ("$count in $name: $line", Found(3, "ERROR: one"), "3 in web.log: ERROR: one"),
        ("$count in $name", Found(3, "x", "only the first 64 MB read"),
         "3+ in web.log (only the first 64 MB read)"),
        ("$name", Found(1, "ERROR: one"), "web.log"),
        ("$name", Found(note="not read: it is gone"), "web.log (not read: it is gone)"),
        ("$count in $name: $line", None, "? in web.log: "),
    ],
)  # fmt: skip
def test_a_text_has_the_line_and_the_count(message: str, found: Found | None, body: str) -> None:
    assert write(log_file(found=found), message, datetime.UTC) == body


@given(keys, st.integers(0, 160))
def test_by_default_a_text_with_a_line_takes_one_segment(key: str, length: int) -> None:
    line = ("ERROR: " + "payment gateway refused, " * 7)[:length]
    body = write(log_file(key, found=Found(12, line)), MESSAGE, datetime.UTC)
    assert segments(body) == 1


@given(st.integers(1, 200))
def test_a_line_is_cut_at_its_end_and_keeps_its_beginning(length: int) -> None:
    key = "k" * length
    line = "ERROR: " + "payment gateway refused, " * 6
    body = write(log_file(key, found=Found(12, line)), MESSAGE, datetime.UTC)
    assert segments(body) == 1
    assert ": ERROR: paym" in body
    assert len(body) > 150 or line in body


def test_the_default_message_is_that_of_the_setting() -> None:
    assert DEFAULT_MESSAGE == MESSAGE


@pytest.mark.parametrize(
    ("found", "contains", "shown"),
    [
        ([Found(30), Found(1)], ["ERROR"] * 2, ", 31 lines with ERROR"),
        ([Found(1), None], ["ERROR, FATAL"] * 2, ", 1 line with ERROR or FATAL"),
        ([Found(1), Found(2, note="not read")], ["ERROR"] * 2, ", 3+ lines with ERROR"),
        ([Found(1), Found(2)], ["ERROR", "FATAL"], ", 3 lines"),
        ([Found(1), Found(2)], ["ERROR", ""], ", 1 line with ERROR"),
        ([Found(1), Found(2)], ['"a, b"'] * 2, ", 3 lines"),
        ([Found(1), Found(2)], ["x" * 31] * 2, ", 3 lines"),
        ([Found(1), Found(2)], ["", ""], ""),
        ([None, None], ["ERROR"] * 2, ""),
    ],
)
def test_a_summary_counts_the_lines_of_its_logs(
    found: list[Found | None], contains: list[str], shown: str
) -> None:
    searched = zip(found, contains, strict=True)
    files = [
        log_file(f"{number}.log", found=one and one._replace(contains=words))
        for number, (one, words) in enumerate(searched)
    ]
    assert summarize(files, datetime.UTC) == (
        f"2 more logs since 23 Nov 14:05 UTC{shown}: 0.log, 1.log"
    )


@given(st.lists(keys, min_size=1, max_size=60), st.text(max_size=500))
def test_a_summary_with_lines_takes_two_segments_at_most(names: list[str], words: str) -> None:
    files = [log_file(name, found=Found(10**6, contains=words)) for name in names]
    body = summarize(files, datetime.UTC)
    assert segments(body) <= 2
