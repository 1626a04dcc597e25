"""Text from elsewhere, made safe to show in a terminal."""

JOINERS = "\u200c\u200d"
"""Persian words and emoji need these two, and they do no harm."""


def printable(value: object) -> str:
    r"""Return a text without characters that control the terminal.

    Uploaders choose the keys of files; Twilio and AWS write their own messages. Escape sequences
    could clear the screen, line breaks could forge lines, and bidirectional controls could swap
    words. Each such character becomes its escape, such as `\x1b`.

    Args:
        value: The text, or a value to show as text.
    """
    return "".join(
        one if one.isprintable() or one in JOINERS else one.encode("unicode_escape").decode()
        for one in str(value)
    )
