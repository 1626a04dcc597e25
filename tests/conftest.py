"""Settings and hooks for all tests."""

import hypothesis

hypothesis.settings.register_profile("fuzz", max_examples=20_000, deadline=None)
# A machine that does other things as well takes longer now and then: that is no failure.
hypothesis.settings.register_profile("usual", deadline=None)
hypothesis.settings.load_profile("usual")
