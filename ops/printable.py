"""Text from outside, made fit for a terminal."""

JOINERS = "\u200c\u200d"
"""Persian words and emoji need them, and they move nothing."""


def printable(said: object) -> str:
    r"""Return a text in which nothing controls the terminal that shows it.

    An uploader chooses a file's key, and Twilio and AWS their words. Escape sequences could clear
    the screen, line breaks forge lines, and bidirectional controls swap words. Each such character
    becomes its escape, such as `\x1b`.

    Args:
        said: The text, or a value to be shown as text.
    """
    return "".join(
        one if one.isprintable() or one in JOINERS else one.encode("unicode_escape").decode()
        for one in str(said)
    )
