"""Read held messages: the texts that this flush may send, and the routes that word them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from handler import queue_messages
from handler.events import IS_FOLDER, LogFile, Unreadable
from handler.log import Log
from handler.notice import Notice
from handler.queues import Message
from handler.settings import AnyRoute, Settings

if TYPE_CHECKING:
    from handler.missing_log import MissingLog

OTHER_SETTINGS_SECONDS = 24 * 60 * 60
"""How long a function with other settings may still run, and so know phones that this one does not.

Lambda keeps an asynchronous event for six hours at most. After an update that failed half-way, an
operator has a day to run it again.
Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""


class Defect(NamedTuple):
    """Why a message moves to `failed`.

    Such JSON may take thirty times as much memory as its text: it is read again when it fails.

    Attributes:
        error: The exception that nobody foresaw; None if a part of the message is unreadable.
    """

    error: Exception | None = None


class FileContent(NamedTuple):
    """The texts of a message about one file.

    Attributes:
        file: The file, or the missing log.
        phones: The phones that are texted about it.
        routes: By phone, the route that words the text about such a file.
    """

    file: "LogFile | MissingLog"
    phones: list[str]
    routes: Mapping[str, AnyRoute]


class Content(NamedTuple):
    """The content of a message.

    Attributes:
        files: The texts that this flush sends, by their files and by what was found in these.
        for_other_settings: How many texts it leaves to a flush with other settings.
        defect: Why the message moves to `failed`, if it does.
    """

    files: Sequence[FileContent] = ()
    for_other_settings: int = 0
    defect: Defect | None = None


class MessageReader:
    """Reads messages by the settings of this flush."""

    def __init__(
        self,
        settings: Settings,
        *,
        log: Log,
        clock: Callable[[], float],
        record: Callable[[LogFile], None] | None = None,
    ) -> None:
        """Make one.

        Args:
            settings: The settings: they say which phones a text may go to.
            log: The log.
            clock: The time, in seconds since the epoch.
            record: Records that a log came that `notify` did not see, if any log is expected.
        """
        self._phones_of_log = settings.phones_of
        self._routes = settings.by_label
        self._matching = settings.matching if settings.routes else None
        self._log = log
        self._clock = clock
        self._record = record

    def read(self, message: Message) -> Content:
        """Read a message. Drop its texts for phones that the settings have lacked for a day."""
        files: dict[object, FileContent] = {}
        defect = None
        for_other_settings = 0
        is_old = self._clock() - message.sent_at > OTHER_SETTINGS_SECONDS
        is_event = not message.body.startswith(queue_messages.BEGINNING)
        file: LogFile | MissingLog | None = None
        routes: Mapping[str, AnyRoute] = {}
        for item in queue_messages.read(message.body, self._phones_of_log):
            if isinstance(item, Notice) and item.file is not file:
                file, routes = item.file, self._routes_of(item.file)
                if self._record and is_event and isinstance(file, LogFile) and not file.is_folder:
                    self._record(file)
            if isinstance(item, Unreadable):
                defect = Defect()
            elif item.file.is_folder:
                self._log.decision("ignored", file=item.file, phone=item.phone, reason=IS_FOLDER)
            elif item.phone in routes:
                key = (item.file.identity, item.file.found)
                files.setdefault(key, FileContent(item.file, [], routes)).phones.append(item.phone)
            elif is_old:
                self._log.decision(
                    "dropped", file=item.file, phone=item.phone, reason="left toNumbers"
                )
            else:
                for_other_settings += 1
        return Content(list(files.values()), for_other_settings, defect)

    def _routes_of(self, file: "LogFile | MissingLog") -> Mapping[str, AnyRoute]:
        """Return the phones that a text about a file may go to, each with the route that words it.

        Where lines were found, it is the first one that looks for their words. A missing log is
        its own route's.
        """
        if isinstance(file, LogFile):
            phones = self._phones_of_log(file.key)
            if file.found is None or not self._matching:
                return phones
            words = file.found.contains
            those = [one for one in self._matching(file.key) if one.contains == words]
            by_phone = {phone: one for one in reversed(those) for phone in one.to_numbers}
            return {**phones, **by_phone}
        found = [route for route in self._routes.values() if route.name == file.route]
        return {phone: route for route in found for phone in route.to_numbers}
