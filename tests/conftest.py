"""What holds for all tests."""

import hypothesis

hypothesis.settings.register_profile("fuzz", max_examples=20_000, deadline=None)
