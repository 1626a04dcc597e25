"""A log of any format is unpacked and read block by block, even if it is cut off."""

import bz2
import contextlib
import gzip
import importlib
import itertools
import lzma
import os
import subprocess
import sys
import tempfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.line_search import WordSearch
from handler.log_content import BLOCK_BYTES, MAX_BYTES, LogContent, UnreadableLog
from tests.unit.examples import examples

TEXT = "".join(f"{number} INFO all is well\n" for number in range(40_000)).encode()

BY_COMMAND = ("gzip", "-c", "-n")


def packed(text: bytes, command: tuple[str, ...] = BY_COMMAND) -> bytes:
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True).stdout


def pieces(whole: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def content(whole: bytes, size: int = 10_000, max_bytes: int = MAX_BYTES) -> LogContent:
    return LogContent(pieces(whole, size), is_late=lambda: False, max_bytes=max_bytes)


def read(whole: bytes, size: int = 10_000) -> bytes:
    return b"".join(content(whole, size))


@pytest.mark.parametrize("size", [1, 7, 10_000, 10_000_000])
@pytest.mark.parametrize(
    "pack",
    [bytes, packed, bz2.compress, lzma.compress],
    ids=["plain", "gzip", "bzip2", "xz"],
)
def test_a_log_is_read_however_it_is_packed(pack: Callable[[bytes], bytes], size: int) -> None:
    text = TEXT if size > 7 else TEXT[:5_000]
    log = content(pack(text), size)
    assert b"".join(log) == text
    assert (log.is_whole, log.bytes_read) == (True, len(text))


@pytest.mark.parametrize("pack", [packed, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
@given(
    texts=st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    size=st.integers(1, 100),
    zeros=st.integers(0, 3),
)
def test_members_that_follow_one_another_are_one_log(
    pack: Callable[[bytes], bytes], texts: list[bytes], size: int, zeros: int
) -> None:
    pack = gzip.compress if pack is packed else pack  # starts no process
    padding = bytes(4 * zeros)
    assert read(padding.join(pack(text) for text in [b"x", *texts]), size) == (
        b"x" + b"".join(texts)
    )


def test_members_by_the_command_are_one_log() -> None:
    assert read(packed(b"one\n") + packed(b"two\n") + packed(b"")) == b"one\ntwo\n"


def test_what_follows_the_last_member_is_ignored_as_by_gzip() -> None:
    whole = packed(TEXT) + b"no member"
    by_gzip = subprocess.run(("gzip", "-dc"), input=whole, capture_output=True, check=False)
    assert read(whole) == by_gzip.stdout == TEXT


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
@pytest.mark.parametrize("pack", [packed, lzma.compress], ids=["gzip", "xz"])
def test_a_member_that_breaks_off_gives_what_it_has(
    pack: Callable[[bytes], bytes], share: float
) -> None:
    whole = pack(TEXT)
    log = content(pack(b"first\n") + whole[: int(len(whole) * share)], 1000)
    found = b"".join(log)
    assert len(found) > len(TEXT) * share / 2
    assert (b"first\n" + TEXT).startswith(found)
    assert not log.is_whole


def test_a_gzip_that_breaks_off_gives_all_that_gunzip_gives() -> None:
    whole = packed(TEXT)[:-100]
    by_gzip = subprocess.run(("gzip", "-dc"), input=whole, capture_output=True, check=False)
    assert read(whole).startswith(by_gzip.stdout)
    assert by_gzip.stdout


def test_what_comes_before_damage_is_good() -> None:
    log = content(packed(b"good\n") + b"\x1f\x8b\x08\x00" + b"\xff" * 100)
    assert b"".join(log) == b"good\n"
    assert not log.is_whole


WORDS = ["ERROR", "FATAL", "OR", "ü"]
texts_with_words = st.lists(
    st.sampled_from([*WORDS, "ERR", "x" * 5_000, "\0", "\r", "\n", "\n", "\udcff"]), max_size=40
).map(lambda parts: "".join(parts).encode(errors="surrogateescape"))


@examples(30)
@given(
    texts=st.lists(texts_with_words, min_size=1, max_size=3),
    is_packed=st.booleans(),
    cut=st.integers(0, 60) | st.just(0),
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=2),
    size=st.sampled_from([1, 100, 10_000]),
)
def test_it_finds_the_lines_that_zgrep_finds(
    texts: list[bytes], is_packed: bool, cut: int, words: list[str], size: int
) -> None:
    whole = b"".join(map(packed, texts)) if is_packed else b"".join(texts)
    if is_packed:
        whole = whole[: max(20, len(whole) - cut)]
    options = [option for word in words for option in ("-e", word)]
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(whole)
        by_zgrep = subprocess.run(
            ("zgrep", "-a", "-F", "-c", *options, file.name),
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            check=False,
        )
    log, search = content(whole, size), WordSearch(words)
    with contextlib.suppress(UnreadableLog):
        for block in log:
            search.feed(block)
    assert log.is_whole == (b"unexpected end of file" not in by_zgrep.stderr)
    lines = int(by_zgrep.stdout)
    if log.is_whole:
        assert search.result().lines == lines
    else:  # gzip may return fewer
        assert search.result().lines >= lines


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        (b"\x1f\x8b\x08\x00" + b"\xff" * 100, "it is damaged"),
        (b"BZh9" + b"\xff" * 100, "it is damaged"),
        (b"\xfd7zXZ\0" + b"\xff" * 100, "it is damaged"),
        (packed(TEXT)[:12], "it is damaged"),
        (b"PK\x03\x04" + b"\0" * 100, "zip"),
    ],
)
def test_a_log_of_which_nothing_can_be_read_says_why(whole: bytes, reason: str) -> None:
    with pytest.raises(UnreadableLog, match=f"^{reason}$"):
        read(whole)


def test_zstd_is_read_by_the_standard_library_or_told() -> None:
    if sys.version_info >= (3, 14):
        zstd = importlib.import_module("compression.zstd")
        assert read(zstd.compress(TEXT) + zstd.compress(b"end")) == TEXT + b"end"
    else:
        with pytest.raises(UnreadableLog, match="^zstd$"):
            read(b"\x28\xb5\x2f\xfd" + b"\0" * 100)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-8"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_byte_order_mark_tells_the_encoding(
    pack: Callable[[bytes], bytes], encoding: str, size: int
) -> None:
    text = "ERROR: Zahlung für 日本 👍 gescheitert\r\n"
    assert read(pack(("\ufeff" + text).encode(encoding)), size).decode() == text


@given(st.binary(max_size=500), st.integers(1, 100))
def test_bytes_that_are_no_text_are_read(whole: bytes, size: int) -> None:
    text = b"x" + whole
    assert read(text, size) == text
    read(b"\xff\xfe" + whole, size)


@pytest.mark.parametrize("pack", [bytes, packed, bz2.compress], ids=["plain", "gzip", "bzip2"])
def test_no_more_is_read_than_the_limit(pack: Callable[[bytes], bytes]) -> None:
    log = content(pack(TEXT), max_bytes=100_000)
    assert b"".join(log) == TEXT[:100_000]
    assert (log.is_whole, log.bytes_read) == (False, 100_000)
    whole = content(pack(TEXT), max_bytes=len(TEXT))
    assert b"".join(whole) == TEXT
    assert whole.is_whole


def test_no_more_of_the_object_is_read_than_the_limit() -> None:
    """5 GB of empty members unpack to nothing, so the limit counts packed bytes as well."""
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield packed(b"") * 1000

    log = LogContent(endless(), is_late=lambda: False, max_bytes=100_000)
    assert b"".join(log) == b""
    assert not log.is_whole
    assert taken < 10


@pytest.mark.parametrize("pack", [bytes, packed], ids=["plain", "gzip"])
def test_reading_stops_when_it_is_late(pack: Callable[[bytes], bytes]) -> None:
    asked = 0

    def is_late() -> bool:
        nonlocal asked
        asked += 1
        return asked > 10

    log = LogContent(pieces(pack(TEXT), 1_000), is_late=is_late, max_bytes=MAX_BYTES)
    found = b"".join(log)
    assert 0 < len(found) < len(TEXT)
    assert TEXT.startswith(found)
    assert not log.is_whole


def test_a_bomb_takes_no_memory() -> None:
    bomb = gzip.compress(bytes(200_000_000))
    assert len(bomb) < 250_000
    tracemalloc.start()
    log = content(bomb, len(bomb))
    blocks = [len(block) for block in log]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(blocks) <= BLOCK_BYTES
    assert (sum(blocks), log.is_whole) == (64_000_000, False)
    assert peak < 3_000_000


def test_unpacking_stops_when_it_is_late() -> None:
    """One chunk may unpack to a thousand times its size."""
    bomb = gzip.compress(bytes(50_000_000))
    late = itertools.chain([False] * 10, itertools.repeat(True))
    log = LogContent([bomb], is_late=lambda: next(late), max_bytes=MAX_BYTES)
    assert sum(map(len, log)) == 10 * BLOCK_BYTES
    assert not log.is_whole


def test_xz_that_would_take_more_memory_than_a_function_has_is_not_read() -> None:
    whole = lzma.compress(TEXT, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}])
    header = whole[12:16] + bytes([36]) + whole[17:20]  # a dictionary of 1 GB
    with pytest.raises(UnreadableLog, match="^it is damaged$"):
        read(whole[:12] + header + zlib.crc32(header).to_bytes(4, "little") + whole[24:])


def test_an_empty_log_is_read() -> None:
    log = content(b"")
    assert b"".join(log) == b""
    assert (log.is_whole, log.bytes_read) == (True, 0)
