"""Looking inside a log: one pass over it for the words of all routes.

Imported only in a stack that looks inside logs.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from handler.events import LogFile
from handler.line_search import LastLine, WordSearch, parse_words
from handler.log_content import MAX_BYTES, LogContent, UnreadableLog
from handler.notice import Found
from handler.text import size_of

READ_SHARE = 1 / 3
"""The share of an invocation's time for reading logs; the rest is for texting about them."""


class Objects(Protocol):
    """The objects of a bucket."""

    def open(self, file: LogFile) -> AbstractContextManager[Iterator[bytes]]:
        """Open the object of a log to read it in chunks.

        Raises:
            UnreadableLog: It cannot be read.
        """


class LogReader:
    """Finds the lines of logs with certain words."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def read(
        self, file: LogFile, contains: Collection[str], is_late: Callable[[], bool]
    ) -> dict[str, Found]:
        """Read a log once, and find the lines for each setting `contains`.

        Args:
            file: The log file.
            contains: The settings; "" finds the last line.
            is_late: Whether to stop reading.

        Returns:
            What each setting finds. If the log cannot be read, all of it is a note of why.
        """
        searches = {
            words: WordSearch(parse_words(words)) if words else LastLine()
            for words in dict.fromkeys(contains)
        }
        note = ""
        if file.size != 0:
            try:
                note = self._feed(file, list(searches.values()), is_late)
            except UnreadableLog as error:
                note = f"not read: {error}"
        return {words: one.result()._replace(note=note) for words, one in searches.items()}

    def _feed(
        self,
        file: LogFile,
        searches: Collection[WordSearch | LastLine],
        is_late: Callable[[], bool],
    ) -> str:
        """Search all of a log; return why it was not all, or nothing."""
        if is_late():
            raise UnreadableLog("no time")
        with self._objects.open(file) as chunks:
            content = LogContent(chunks, is_late=is_late, max_bytes=MAX_BYTES)
            for block in content:
                for one in searches:
                    one.feed(block)
        if content.is_whole:
            return ""
        if not content.bytes_read:
            raise UnreadableLog("no time")
        return f"only the first {size_of(content.bytes_read)} read"
