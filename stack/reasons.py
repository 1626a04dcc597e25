"""The reasons in log lines and messages, in words for people."""

_IN_WORDS = {"Twilio refuses": "not tried after a refusal"}
"""Reasons that people would misread: `notify` holds these texts without asking Twilio."""


def in_words(reason: str, code: object = "", meaning: object = "") -> str:
    """Return a reason with Twilio's code and its meaning, such as `busy (503: unavailable)`."""
    words = _IN_WORDS.get(reason, reason)
    details = ": ".join(str(one) for one in (code, meaning) if one not in ("", None))
    return f"{words} ({details})" if details else words
