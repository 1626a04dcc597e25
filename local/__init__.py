"""The same program on this machine: an emulator of AWS, a deployer, a stand-in for Twilio."""
