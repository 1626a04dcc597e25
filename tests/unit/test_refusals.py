"""Each refusal of Twilio's has one end."""

import pytest

from handler.refusals import NO_ANSWER, NO_CONNECTION, NO_SENSE, Kind, refusal

BUSY, IN_DOUBT, SETTINGS, DESTINATION, PHONE, TEXT, IN_VAIN = Kind


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, 20429, BUSY),
        (429, None, BUSY),
        (503, None, BUSY),
        (503, 20503, BUSY),
        (429, 21611, BUSY),
        (429, 63038, BUSY),
        (500, 20500, IN_DOUBT),
        (500, None, IN_DOUBT),
        (502, 502, IN_DOUBT),
        (504, 504, IN_DOUBT),
        (401, 20003, SETTINGS),
        (403, 20003, SETTINGS),
        (401, None, SETTINGS),
        (404, 20404, SETTINGS),
        (400, 21212, SETTINGS),
        (400, 21606, SETTINGS),
        (400, 21659, SETTINGS),
        (400, 21408, DESTINATION),
        (400, 21608, DESTINATION),
        (400, 21703, SETTINGS),
        (400, 30034, DESTINATION),
        (400, 21211, PHONE),
        (400, 21610, PHONE),
        (400, 21612, PHONE),
        (400, 21614, PHONE),
        (400, 21602, TEXT),
        (400, 21617, TEXT),
        (400, 21658, TEXT),
        (400, 29999, TEXT),
        (301, 301, SETTINGS),
        (407, 407, SETTINGS),
    ],
)
def test_twilios_answers_are_classed(status: int, code: int | None, kind: Kind) -> None:
    assert refusal(status, code).kind is kind


def test_without_an_answer_it_is_as_if_twilio_were_busy_or_in_doubt() -> None:
    assert [no.kind for no in (NO_CONNECTION, NO_ANSWER, NO_SENSE)] == [BUSY, IN_DOUBT, IN_DOUBT]


def test_only_a_phone_and_a_text_are_refused_for_good() -> None:
    assert [kind for kind in Kind if not kind.passes] == [PHONE, TEXT, IN_VAIN]


def test_what_one_phone_meets_is_no_reason_to_try_no_other() -> None:
    assert [kind for kind in Kind if not kind.meets_all] == [DESTINATION, PHONE, TEXT, IN_VAIN]


def test_a_refusal_names_the_code_to_look_up() -> None:
    assert refusal(400, 21610).code == 21610
    assert refusal(502, None).code == 502
