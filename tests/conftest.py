"""Settings and hooks for all tests."""

import signal

import hypothesis

# A shell starts background jobs deaf to Ctrl-C, which tests send to the programs that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("fuzz", max_examples=20_000, deadline=None)
# A machine that does other things as well takes longer now and then: that is no failure.
hypothesis.settings.register_profile("usual", deadline=None)
hypothesis.settings.load_profile("usual")
