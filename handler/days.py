"""Days of the week, as quiet hours and expected logs name them."""

NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
"""The days in the order of `datetime.date.weekday`."""

EVERY_DAY = frozenset(range(len(NAMES)))

FORM = "days such as Mon-Fri or Mon,Thu"


def parse_days(text: str) -> frozenset[int]:
    """Read `Mon`, `Mon-Fri` or `Mon,Thu`; `Sat-Mon` goes over the end of the week.

    Returns:
        The days, as `datetime.date.weekday` numbers them.

    Raises:
        ValueError: It names no days.
    """
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in NAMES or (dash and last not in NAMES):
            raise ValueError(f"not {FORM}")
        start = NAMES.index(first)
        length = (NAMES.index(last) - start) % len(NAMES) if dash else 0
        days.update((start + number) % len(NAMES) for number in range(length + 1))
    return frozenset(days)
