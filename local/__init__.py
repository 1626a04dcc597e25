"""The same program on this machine: an emulator of AWS, a deployer, a stand-in for Twilio."""

STOPPED = "\nStopped; nothing is left behind.\n"
"""The last line that a command prints after Ctrl-C."""
