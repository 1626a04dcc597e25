"""A notice: the unit that is claimed, sent, held or failed."""

import hashlib
import json
from typing import NamedTuple

from handler.events import LogFile


class Notice(NamedTuple):
    """One log file for one phone.

    Attributes:
        file: The log file.
        phone: The phone, in E.164.
    """

    file: LogFile
    phone: str

    @property
    def id(self) -> str:
        """The same for a duplicate of the event, and another one for another write of the key.

        A hash: keys may be longer than DynamoDB's, and the table must not show phone numbers.
        """
        file = self.file
        parts = (file.bucket, file.key, file.version, file.sequencer, self.phone)
        whole = json.dumps(parts).encode()
        return hashlib.sha256(whole).hexdigest()
