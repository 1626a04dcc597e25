"""The ways in which Twilio fails, for the stand-in to do the same."""

import dataclasses
from typing import Literal

Asked = Literal["create", "fetch", "list"]
"""What a request to Twilio asks for: to create a text, to fetch one, or to list some."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to fail.

    Without a status and a reset, the request is processed as usual and answered after the delay. A
    client that does not wait so long is in doubt.

    Attributes:
        status: The HTTP status to answer, 400 to 599.
        code: Twilio's error code in the answer. Without one the answer is plain text, as from a
            gateway in front of Twilio.
        delay: Seconds to wait before the answer or the reset.
        reset: Whether to reset the TCP connection rather than answer.
        accepts: Whether the request is processed all the same, although the client cannot know.
        asked: The requests that fail; None for all.
        phone: The phone whose requests fail; "" for all.
        every: Which of these requests fail: 10 for the tenth, the twentieth and so on.
    """

    status: int | None = None
    code: int | None = None
    delay: float = 0
    reset: bool = False
    accepts: bool = False
    asked: Asked | None = None
    phone: str = ""
    every: int = 1


BUSY = Fault(status=429, code=20429)
UNAVAILABLE = Fault(status=503)
BROKEN = Fault(status=500, code=20500)
UNAUTHORIZED = Fault(status=401, code=20003)
RESET = Fault(reset=True)
LIST_DOWN = Fault(status=503, code=20503, asked="list")

# Twilio accepts the text, and its answer is lost.
ERROR_AFTER_TEXT = Fault(status=500, code=20500, accepts=True, asked="create")
RESET_AFTER_TEXT = Fault(reset=True, accepts=True, asked="create")
SILENCE_AFTER_TEXT = Fault(delay=60, reset=True, accepts=True, asked="create")
