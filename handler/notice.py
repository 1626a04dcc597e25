"""A text that is due: what is claimed, sent, held or failed."""

import hashlib
import json
from typing import NamedTuple

from handler.events import LogFile

TRIED_SECONDS = 9 * 24 * 60 * 60
"""How long a text that is held is tried. SQS keeps it for two days longer: see `infra.queues`."""


class Notice(NamedTuple):
    """One log file that one phone is to be told of.

    Attributes:
        file: The log file.
        phone: The phone, in E.164.
    """

    file: LogFile
    phone: str

    @property
    def id(self) -> str:
        """The same for a duplicate of the event, and another one for another write of the key.

        A hash: keys may be longer than DynamoDB's, and a phone number is nobody's business there.
        """
        file = self.file
        parts = (file.bucket, file.key, file.version, file.sequencer, self.phone)
        whole = json.dumps(parts).encode()
        return hashlib.sha256(whole).hexdigest()
