"""Let the functions in the emulator wait longer for it than Lambda's wait for AWS.

Python imports this module as it starts, in each process of an emulator of tests or storms. On a
busy machine the emulator takes longer than the few seconds after which the handler gives up on AWS.
Twilio's ten seconds stay: some tests let its stand-in be slower than that.
"""

import socket

GIVEN_UP_BEFORE, PATIENCE = 10, 60  # seconds

_settimeout = socket.socket.settimeout


def _patient(self: socket.socket, seconds: float | None) -> None:
    short = seconds is not None and 0 < seconds < GIVEN_UP_BEFORE
    _settimeout(self, PATIENCE if short else seconds)


socket.socket.settimeout = _patient  # type: ignore[method-assign,assignment]  # for this process
