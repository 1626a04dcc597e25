"""The cost of a text: GSM-7, UCS-2 and segments."""

# The GSM 7-bit default alphabet and its extension, each character of which counts as two.
# Source: 3GPP TS 23.038, 6.2.1 and 6.2.1.1.
GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
GSM_7 = GSM | GSM_EXTENSION

# The characters of a segment, alone and as one of several: a header that joins them takes some of
# the space.
# Source: https://www.twilio.com/docs/glossary/what-sms-character-limit
GSM_SEGMENT, GSM_SEGMENT_OF_SEVERAL = 160, 153
UCS2_SEGMENT, UCS2_SEGMENT_OF_SEVERAL = 70, 67


def segments(body: str) -> int:
    """Count the segments of a text: its cost.

    GSM-7 as long as every character is in it; one foreign character makes the whole text UCS-2,
    where characters beyond the Basic Multilingual Plane, such as emoji, count as two.
    """
    if is_gsm(body):
        lengths = [2 if character in GSM_EXTENSION else 1 for character in body]
        one, of_several = GSM_SEGMENT, GSM_SEGMENT_OF_SEVERAL
    else:
        lengths = [2 if character > "\uffff" else 1 for character in body]
        one, of_several = UCS2_SEGMENT, UCS2_SEGMENT_OF_SEVERAL
    if sum(lengths) <= one:
        return 1
    count, room = 1, of_several
    for length in lengths:  # no character is split across two segments
        if length > room:
            count, room = count + 1, of_several
        room -= length
    return count


def is_gsm(body: str) -> bool:
    """Whether every character of a text is in GSM-7."""
    return GSM_7.issuperset(body)
