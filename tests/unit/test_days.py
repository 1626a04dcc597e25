"""Days of the week in settings."""

import pytest

from handler.days import EVERY_DAY, NAMES, parse_days


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon", {0}),
        ("Mon-Fri", {0, 1, 2, 3, 4}),
        ("Mon,Thu", {0, 3}),
        ("Sat-Mon", {5, 6, 0}),
        ("Fri-Fri", {4}),
        ("Mon-Tue,Thu,Sat-Sun", {0, 1, 3, 5, 6}),
        ("Mon-Sun", EVERY_DAY),
    ],
)
def test_days_are_named_one_by_one_or_from_one_to_another(text: str, days: set[int]) -> None:
    assert parse_days(text) == days


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("last", NAMES)
def test_a_range_begins_and_ends_with_its_days_and_leaves_out_none_between(
    first: str, last: str
) -> None:
    start, end = NAMES.index(first), NAMES.index(last)
    walked = {start}
    while start != end:
        start = (start + 1) % 7
        walked.add(start)
    assert parse_days(f"{first}-{last}") == walked


@pytest.mark.parametrize(
    "text", ["", "mon", "Monday", "Mon-", "-Fri", "Mon,", "Mon, Thu", "Mon-Wed-Fri", "Mon Thu", "0"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Mon-Fri or Mon,Thu"):
        parse_days(text)
