"""The same program on this machine: an emulator of AWS, a deployer, a stand-in for Twilio."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The project's folder."""

STOPPED = "\nStopped; nothing is left behind.\n"
"""The last words after Ctrl-C."""
