"""Fixtures of the judges: the program on the emulator, with a stand-in for Twilio."""

from tests.local.conftest import emulator, shared_twilio

__all__ = ["emulator", "shared_twilio"]
