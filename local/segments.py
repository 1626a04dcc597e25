"""The segments of a text, counted as networks do, and their price.

The handler has its own table and count. tests/unit/test_text.py compares the two, so they must not
share code.
"""

SEGMENT_DOLLARS = 0.0083
"""The price of a segment in the US in November 2026, without carriers' fees.

Source: https://www.twilio.com/en-us/sms/pricing/us
"""

# The places that each character of GSM-7 takes in a segment (3GPP TS 23.038, 6.2.1).
_GSM_7 = dict.fromkeys(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
    1,
) | dict.fromkeys("\f^{}\\[~]|€", 2)


def segments(body: str) -> int:
    """Count the segments of a text as networks fill them, without splitting a character.

    A text of one segment holds 160 places of GSM-7 or 70 UTF-16 units. In a longer text each
    segment holds 153 or 67, since a header joins them (3GPP TS 23.040, 9.2.3.24.1).
    """
    if all(character in _GSM_7 for character in body):
        sizes = [_GSM_7[character] for character in body]
        single_capacity, part_capacity = 160, 153
    else:
        sizes, single_capacity, part_capacity = (
            [1 + (character > "\uffff") for character in body],
            70,
            67,
        )
    if sum(sizes) <= single_capacity:
        return 1
    count = room = 0
    for size in sizes:
        if size > room:
            count, room = count + 1, part_capacity
        room -= size
    return count
