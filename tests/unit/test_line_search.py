"""The search finds the same lines as `grep -F`, in blocks of any size, with little memory."""

import os
import subprocess
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handler.events import Found
from handler.line_search import (
    CONTEXT_BYTES,
    LINE_CHARACTERS,
    LastLine,
    WordSearch,
    parse_words,
)
from tests.unit.examples import examples

LINES = [
    "ERROR",
    "ERR",
    "OR",
    "FATAL",
    "fatal",
    " ",
    "ok",
    "\r",
    "\0",
    "ü",
    "\udcff",
    "x" * 50,
    "E",
]

logs = st.lists(
    st.lists(st.sampled_from([*LINES, "\n"]), max_size=12).map("".join), max_size=12
).map(lambda lines: "\n".join(lines).encode(errors="surrogateescape"))


def search(text: bytes, words: Sequence[str], cuts: Sequence[int] = ()) -> Found:
    searched = WordSearch(words)
    feed(searched, text, cuts)
    return searched.result()


def feed(reader: WordSearch | LastLine, text: bytes, cuts: Sequence[int]) -> None:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    for start, end in pairwise(places):
        reader.feed(text[start:end])


def grep(text: bytes, words: Sequence[str], *options: str) -> bytes:
    """Search with `grep`. Its option `-a` takes any byte for text, even NUL."""
    named = [argument for word in words for argument in ("-e", word)]
    return subprocess.run(
        ["grep", "-a", "-F", *options, *named],
        input=text,
        stdout=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    ).stdout


@examples(60)
@given(
    logs,
    st.lists(
        st.sampled_from(["ERROR", "FATAL", "OR", "R", "ü", "ERRORERR"]), min_size=1, max_size=3
    ),
    st.lists(st.integers(0), max_size=6),
)
def test_it_finds_the_lines_that_grep_finds(text: bytes, words: list[str], cuts: list[int]) -> None:
    found = search(text, words, cuts)
    assert found.lines == int(grep(text, words, "-c"))
    first = grep(text, words, "-m1")
    assert bool(found.line.strip()) == bool(first.strip(b" \r\0\n"))
    whole = search(first, words)
    assert found.line == whole.line


@example(b"ERROR ERROR", [5, 6])
@given(logs, st.lists(st.integers(0), max_size=6))
def test_the_last_line_is_that_of_the_whole_in_blocks_of_any_size(
    text: bytes, cuts: list[int]
) -> None:
    reader, whole = LastLine(), LastLine()
    feed(reader, text, cuts)
    feed(whole, text, ())
    assert reader.result() == whole.result()
    lines = [line for line in text.split(b"\n") if line.strip(b" \t\r\0")]
    counted = text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
    last = LastLine()
    last.feed(lines[-1] if lines else b"")
    assert reader.result() == Found(counted, last.result().line)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"INFO a\nERROR: payment gateway refused\nERROR: two\n", "ERROR: payment gateway refused"),
        (b"an ERROR\r\n", "an ERROR"),
        (b"an\0 ERROR\0", "an ERROR"),
        (b"\x1b[31mERROR\x1b[0m in red \x1b]0;title\x07now", "ERROR in red now"),
        (b"\tERROR\tin tabs", "ERROR in tabs"),
        (b"ERROR \xff\xfe no text", "ERROR ?? no text"),
        ("ERROR: \uff37ide ½".encode(), "ERROR: Wide 1\u20442"),
        (
            b"the service of all the payments in Europe: ERROR end",
            "...payments in Europe: ERROR end",
        ),
        (b"ERROR " + b"long " * 1000, ("ERROR " + "long " * 1000)[:LINE_CHARACTERS]),
    ],
)
def test_a_line_is_shown_as_a_text_can_show_it(text: bytes, line: str) -> None:
    for size in (1, 5, len(text)):
        assert search(text, ["ERROR"], range(0, len(text), size)).line.strip() == line.strip()


def test_the_word_is_in_view_wherever_it_is_in_a_line() -> None:
    for before in (0, 10, 39, 41, 100, 4000, 4096, 5000, 100_000):
        text = b"before " * (before // 7) + b" ERROR " + b"after " * 5000
        for cut in (1, 1000, 4095, 4096, 4097, len(text)):
            line = search(text, ["ERROR"], range(0, len(text), cut)).line
            assert "ERROR after" in line[:60]
            assert len(line) <= LINE_CHARACTERS


def test_a_line_without_any_break_takes_no_memory() -> None:
    block = b"x" * 262_144
    searched, last = WordSearch(["ERROR", "FATAL"]), LastLine()
    tracemalloc.start()
    for number in range(244):
        searched.feed(b"ERROR" if number == 200 else block)
        last.feed(block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert searched.result().lines == 1
    assert peak < 1_500_000


def test_a_secret_that_begins_outside_of_the_kept_part_is_not_shown() -> None:
    secret = b"password=" + b"s3cr3t!." * 1000
    assert "s3cr3t" not in search(secret + b"ERROR", ["ERROR"]).line
    assert "s3cr3t" not in search(b"x " + secret + b"ERROR " + secret, ["ERROR"]).line
    assert len(secret) > CONTEXT_BYTES


@pytest.mark.parametrize(
    "secret",
    ["AKIAIOSFODNN7EXAMPLE", "https://bob:hunter2hunter2@db", "password = hunter2", "pw: hunter2"],
)
def test_a_secret_at_a_cut_is_not_shown(secret: str) -> None:
    """A mask shortens the kept part so much that the text shows its cut ends."""
    for size in range(CONTEXT_BYTES - 60, CONTEXT_BYTES + 10):
        blob = ("A1b2" * CONTEXT_BYTES)[:size]
        lines = [
            search(f"x {secret} {blob} ERROR".encode(), ["ERROR"], range(0, 9000, 100)).line,
            search(f"ERROR {blob} {secret} x".encode(), ["ERROR"]).line,
        ]
        last = LastLine()
        last.feed(f"ERROR {('A1b2' * CONTEXT_BYTES)[: CONTEXT_BYTES + size]} {secret} x".encode())
        lines.append(last.result().line)
        for line in lines:
            assert "hunter2" not in line
            assert "AKIA" not in line


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("ERROR", ("ERROR",)),
        ("ERROR, FATAL", ("ERROR", "FATAL")),
        ('"one, two",three', ("one, two", "three")),
        ('"say ""no""", b c', ('say "no"', "b c")),
        ('" ERROR ",a', (" ERROR ", "a")),
        ("it's", ("it's",)),
        ("100%\\d+", ("100%\\d+",)),
    ],
)
def test_words_are_read_as_csv(setting: str, words: tuple[str, ...]) -> None:
    assert parse_words(setting) == words


@pytest.mark.parametrize("setting", ['"open', '"a"b', "a,", "a,,b", " ", "a\nb", 'a,"b\nc"', ""])
def test_words_that_cannot_be_read_are_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=r"quote|empty|line"):
        parse_words(setting)


@pytest.mark.parametrize(
    ("blocks", "line", "lines"),
    [
        ([b"one", b"\n", b"two"], "two", 2),
        ([b"one\n", b" \r\n", b"two", b" more", b"\n"], "two more", 3),
        ([b"one", b"\n\n", b"  ", b"\0\n"], "one", 3),
        ([b"o", b"ne\nt", b"wo", b"", b"\n"], "two", 2),
    ],
)
def test_a_last_line_in_pieces_is_put_together(blocks: list[bytes], line: str, lines: int) -> None:
    last = LastLine()
    for block in blocks:
        last.feed(block)
    assert last.result() == Found(lines, line)
