"""The content of a log, unpacked and in UTF-8, one block at a time."""

import bz2
import codecs
import itertools
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

MAX_BYTES = 64_000_000
"""The most bytes of a log that are read: of the object, and again of its unpacked content."""

BLOCK_BYTES = 64 * 1024
"""The most bytes of a block. With twice as many, malloc asks the system for each block."""

XZ_MEMORY_BYTES = 80 * 1024 * 1024
"""The most memory that xz may take: 65 MB, for its best compression.

Source: the table of presets in https://man7.org/linux/man-pages/man1/xz.1.html
"""


class UnreadableLog(Exception):
    """The content of a log cannot be read; the message says why, in the words of a text."""


class _Decompressor(Protocol):
    """The interface of a decompressor of `bz2`, `lzma` and `compression.zstd`."""

    @property
    def eof(self) -> bool:
        """Whether the compressed stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether it can give more only with more input."""

    @property
    def unused_data(self) -> bytes:
        """The input after the end of the stream."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Give so many bytes at most; keep the input that is left."""


class _Gzip:
    """`zlib` with that interface."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def needs_input(self) -> bool:
        return not self._object.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)


def _zstd() -> _Decompressor:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415  # from Python 3.14 on
    except ImportError:
        raise UnreadableLog("zstd") from None
    decompressor: _Decompressor = zstd.ZstdDecompressor()
    return decompressor


def _zip() -> _Decompressor:
    raise UnreadableLog("zip")


# By the first bytes of each format, since a key may say otherwise. requests imports these modules
# anyway.
_DECOMPRESSORS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": _Gzip,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY_BYTES),
    b"\x28\xb5\x2f\xfd": _zstd,
    b"PK\x03\x04": _zip,
}
_LONGEST_MAGIC = max(map(len, _DECOMPRESSORS))

_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


class LogContent:
    """The content of a log, block by block.

    Attributes:
        bytes_read: How many bytes were read, after unpacking.
        is_whole: Whether that is all. False at a limit, and if the content breaks off.
    """

    def __init__(
        self, chunks: Iterable[bytes], *, is_late: Callable[[], bool], max_bytes: int
    ) -> None:
        """Make it.

        Args:
            chunks: The object as it is stored.
            is_late: Whether to stop reading.
            max_bytes: The most bytes to read, of the object and of its unpacked content.
        """
        self._chunks = chunks
        self._is_late = is_late
        self._max_bytes = max_bytes
        self.bytes_read = 0
        self.is_whole = True

    def __iter__(self) -> Iterator[bytes]:
        """Give the content in UTF-8 as far as it is text, and any other byte as it is.

        Raises:
            UnreadableLog: Nothing of it can be read.
        """
        return _in_utf8(self._limited(_unpacked(self._stored())))

    def _stored(self) -> Iterator[bytes]:
        """Give the object as it is stored, up to the limits."""
        size = 0
        for chunk in self._chunks:
            if self._is_late():
                self.is_whole = False
                return
            part = chunk[: self._max_bytes - size]
            size += len(part)
            yield part
            if len(part) < len(chunk):
                self.is_whole = False
                return

    def _limited(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Give the unpacked content, up to the limits and up to any damage."""
        try:
            for block in blocks:
                part = block[: self._max_bytes - self.bytes_read]
                self.bytes_read += len(part)
                if part:
                    yield part
                if len(part) < len(block) or self._is_late():
                    self.is_whole = False
                    return
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
            self._break_off(UnreadableLog("it is damaged"))
        except UnreadableLog as error:
            self._break_off(error)

    def _break_off(self, error: UnreadableLog) -> None:
        """End the content at a defect: the content before it is good."""
        self.is_whole = False
        if not self.bytes_read:
            raise error from None


def _unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack a stream by the bytes that it begins with; give any other one as it is."""
    head = _fill(b"", chunks)
    if not _magic(head):
        yield from _split(head)
        for chunk in chunks:
            yield from _split(chunk)
        return
    while magic := _magic(head):  # several members may follow one another
        decompressor = _DECOMPRESSORS[magic]()
        for chunk in itertools.chain([head], chunks):
            yield from _blocks(decompressor, chunk)
            if decompressor.eof:
                break
        else:
            raise EOFError  # inside of a member
        # Zeros may fill up the end of a member. Anything else ends the log, as for gzip.
        head = decompressor.unused_data.lstrip(b"\0")
        while not head and (more := next(chunks, None)) is not None:
            head = more.lstrip(b"\0")
        head = _fill(head, chunks)


def _blocks(decompressor: _Decompressor, chunk: bytes) -> Iterator[bytes]:
    """Give the unpacked content of one more chunk."""
    block = decompressor.decompress(chunk, BLOCK_BYTES)
    yield block
    while not decompressor.eof and (len(block) == BLOCK_BYTES or not decompressor.needs_input):
        block = decompressor.decompress(b"", BLOCK_BYTES)
        yield block


def _fill(head: bytes, chunks: Iterator[bytes]) -> bytes:
    """Read on until there is enough to recognise the format, or no more."""
    while len(head) < _LONGEST_MAGIC and (chunk := next(chunks, None)) is not None:
        head += chunk
    return head


def _magic(head: bytes) -> bytes:
    return next((magic for magic in _DECOMPRESSORS if head.startswith(magic)), b"")


def _split(chunk: bytes) -> Iterator[bytes]:
    for start in range(0, len(chunk), BLOCK_BYTES):
        yield chunk[start : start + BLOCK_BYTES]


def _in_utf8(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Write a stream with UTF-16's byte order mark in UTF-8; give any other one as it is."""
    head = b""
    for block in blocks:
        head += block
        if len(head) >= len(codecs.BOM_UTF8):
            break
    encoding = _BYTE_ORDER_MARKS.get(head[:2])
    if not encoding:
        yield head.removeprefix(codecs.BOM_UTF8)
        yield from blocks
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    yield decoder.decode(head[2:]).encode()
    for block in blocks:
        yield decoder.decode(block).encode()
    yield decoder.decode(b"", final=True).encode()
