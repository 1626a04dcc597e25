"""The ways in which Twilio fails, which the stand-in imitates."""

import dataclasses
from typing import Literal

Operation = Literal["create", "fetch", "list"]
"""A request to Twilio: to create a text, to fetch one, or to list some."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to fail.

    Without a status and a reset, Twilio processes the request as usual, and answers after the
    delay. A client that does not wait so long does not know the outcome.

    Attributes:
        status: The HTTP status to answer, 400 to 599.
        code: Twilio's error code in the answer. Without one the answer is plain text, as from a
            gateway in front of Twilio.
        delay: Seconds to wait before the answer or the reset.
        reset: Whether to reset the TCP connection rather than answer.
        accepts: Whether Twilio processes the request although it fails.
        operation: The kind of request that fails; None for all.
        phone: The phone whose requests fail; "" for all.
        every: 10 if the tenth of these requests fails, the twentieth and so on; 1 for all.
    """

    status: int | None = None
    code: int | None = None
    delay: float = 0
    reset: bool = False
    accepts: bool = False
    operation: Operation | None = None
    phone: str = ""
    every: int = 1


BUSY = Fault(status=429, code=20429)
UNAVAILABLE = Fault(status=503)
BROKEN = Fault(status=500, code=20500)
UNAUTHORIZED = Fault(status=401, code=20003)
RESET = Fault(reset=True)
LIST_DOWN = Fault(status=503, code=20503, operation="list")

# Twilio accepts the text, and its answer is lost.
ERROR_AFTER_TEXT = Fault(status=500, code=20500, accepts=True, operation="create")
RESET_AFTER_TEXT = Fault(reset=True, accepts=True, operation="create")
SILENCE_AFTER_TEXT = Fault(delay=60, reset=True, accepts=True, operation="create")
