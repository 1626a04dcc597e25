"""The look inside a log: one pass over it for the words of all routes.

Imported only in a stack that looks inside logs.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from handler import metrics
from handler.errors import log_unexpected
from handler.events import Found, LogFile
from handler.line_search import LastLine, WordSearch, parse_words
from handler.log import Log
from handler.log_content import MAX_BYTES, LogContent, UnreadableLog
from handler.settings import AnyRoute, Settings, looks_inside
from handler.text import size_of


class Objects(Protocol):
    """The objects of a bucket."""

    def open(self, file: LogFile) -> AbstractContextManager[Iterator[bytes]]:
        """Open the object of a log to read it in chunks.

        Raises:
            UnreadableLog: It cannot be read.
        """


class LogReader:
    """Finds the lines of logs with certain words."""

    def __init__(self, settings: Settings, *, objects: Objects, log: Log) -> None:
        """Make it.

        Args:
            settings: The settings.
            objects: The logs.
            log: The log of the function.
        """
        self._matching = settings.matching
        self._objects = objects
        self._log = log

    def look(
        self, file: LogFile, is_late: Callable[[], bool]
    ) -> tuple[dict[str, AnyRoute], dict[str, Found]]:
        """Look inside a log for all routes that match its key.

        Args:
            file: The log file.
            is_late: Whether to stop reading.

        Returns:
            Each phone that the log is for, with the first route that names it and finds something;
            and the lines that each route found, by its label.
        """
        routes = self._matching(file.key)
        inside = [route for route in routes if route.to_numbers and looks_inside(route)]
        by_words = self.read(file, {route.contains for route in inside}, is_late) if inside else {}
        found = {route.label: by_words[route.contains] for route in inside}
        phones: dict[str, AnyRoute] = {}
        others = set[str]()
        for route in routes:
            if route.contains and route.label in found and found[route.label].is_nothing:
                others.update(route.to_numbers)
            else:
                phones.update((phone, route) for phone in route.to_numbers if phone not in phones)
        if left_out := others - phones.keys():
            measured = {metrics.NOTHING_INSIDE: 1}
            self._log.decision("nothing inside", file=file, measured=measured, phones=len(left_out))
        return phones, found

    def read(
        self, file: LogFile, contains: Collection[str], is_late: Callable[[], bool]
    ) -> dict[str, Found]:
        """Read a log once, and find the lines for each setting `contains`.

        Args:
            file: The log file.
            contains: The settings; "" finds the last line.
            is_late: Whether to stop reading.

        Returns:
            The lines that each setting finds. If the log cannot be read, a note says why.
        """
        searches = {
            words: WordSearch(parse_words(words)) if words else LastLine() for words in contains
        }
        note = ""
        if file.size != 0:
            try:
                note = self._feed(file, list(searches.values()), is_late)
            except UnreadableLog as error:
                note = f"not read: {error}"
            except Exception as error:  # noqa: BLE001  # the text goes out, and there is an alarm
                log_unexpected(self._log, error)
                note = "not read: an error"
        if note:
            measured = {metrics.NOT_READ: 1}
            self._log.decision("not read", level="WARN", file=file, measured=measured, reason=note)
        return {
            words: one.result()._replace(note=note, contains=words)
            for words, one in searches.items()
        }

    def _feed(
        self,
        file: LogFile,
        searches: Collection[WordSearch | LastLine],
        is_late: Callable[[], bool],
    ) -> str:
        """Search a log, and return why a part was not searched, or ""."""
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
