"""Lengthen the timeouts for AWS in the functions of an emulator, for tests and storms.

Python imports this module as it starts, in each process of such an emulator. On a busy machine the
emulator answers later than the few seconds after which the handler gives up on AWS. The ten seconds
for Twilio stay: some tests make the stand-in slower than that.
"""

import socket

SHORT_BELOW_SECONDS = 10
LONG_SECONDS = 60

_settimeout = socket.socket.settimeout


def _set_longer_timeout(self: socket.socket, seconds: float | None) -> None:
    is_short = seconds is not None and 0 < seconds < SHORT_BELOW_SECONDS
    _settimeout(self, LONG_SECONDS if is_short else seconds)


socket.socket.settimeout = _set_longer_timeout  # type: ignore[method-assign,assignment]  # for this process
