"""Each of Twilio's refusals has one outcome, and affects only the phones that it concerns."""

import pytest

from handler.breaker import Breaker
from handler.delivery_reports import MEANINGS
from handler.refusals import NO_ANSWER, NO_CONNECTION, NOT_TWILIO, Kind, Refusal, refusal
from stack import ROOT

BUSY, IN_DOUBT, ACCOUNT, SENDER, DESTINATION, UNKNOWN, PHONE, TEXT, EXPIRED = Kind

# Twilio's error codes by kind of refusal. The code decides, not the HTTP status.
CODES = {
    BUSY: [20429, 20503, 21611, 21730, 14107, 63038],
    IN_DOUBT: [20500, 21619],
    ACCOUNT: [20003, 20403, 20005, 20006, 20008, 20010, 20404, *range(572001, 572007)],
    SENDER: [
        *(21212, 21601, 21603, 21607, 21616, 21657, 21266, 21659, 21660, 21661, 21701, 21702),
        *(21703, 21704, 21705, 21708, 21709, 21711, 21712, 21715, 21729, 30032, 30033),
    ],
    DESTINATION: [21408, 21215, 21606, 21608, 21219, 30034, 30035],
    PHONE: [
        *(21211, 21214, 21217, 21401, 21604, 21610, 21612, 21614, 21635, 21268, 21202, 63033),
    ],
    TEXT: [21602, 21605, 21617, 21618, 21658],
    UNKNOWN: [29999, 572007, 99999],
}


@pytest.mark.parametrize(("kind", "code"), [(kind, one) for kind in CODES for one in CODES[kind]])
def test_a_code_decides_the_kind_of_refusal(kind: Kind, code: int) -> None:
    assert refusal(400, code).kind is kind
    assert refusal(400, str(code)) == refusal(400, code)
    if kind is not UNKNOWN:
        assert refusal(500, code) == refusal(400, code)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, None, BUSY),
        (503, None, BUSY),
        (503, 503, BUSY),
        (500, None, IN_DOUBT),
        (502, 502, IN_DOUBT),
        (504, 504, IN_DOUBT),
        (500, 29999, IN_DOUBT),
        (401, None, ACCOUNT),
        (401, 29999, ACCOUNT),
        (403, 403, ACCOUNT),
        (403, "blocked", UNKNOWN),
        (403, 29999, UNKNOWN),
        (404, None, ACCOUNT),
        (404, "not_routable", UNKNOWN),
        (404, 29999, UNKNOWN),
        (301, 301, UNKNOWN),
        (407, 407, UNKNOWN),
        (400, None, UNKNOWN),
    ],
)
def test_without_a_known_code_the_status_decides(
    status: int, code: int | str | None, kind: Kind
) -> None:
    assert refusal(status, code).kind is kind


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("not_routable", "not_routable"),
        ("21610", 21610),
        (21610.0, 21610),
        ("", 400),
        ("to +15005550100", 400),
        ("15005550100", 400),
        (15005550100, 400),
        ("\u0662\u0661", 400),
        ("\u00b2", 400),
        (True, 400),
        (-5, 400),
        (float("nan"), 400),
        (10**300, 400),
        ([21610], 400),
        ({"code": 21610}, 400),
        ("word" * 20, 400),
    ],
)
def test_a_code_is_logged_only_as_a_number_or_a_word(code: object, expected: int | str) -> None:
    assert refusal(400, code).code == expected


def test_without_an_answer_it_is_as_if_twilio_were_busy_or_in_doubt() -> None:
    assert [no.kind for no in (NO_CONNECTION, NO_ANSWER, NOT_TWILIO)] == [BUSY, IN_DOUBT, IN_DOUBT]


def test_only_a_phone_and_a_text_are_refused_for_good() -> None:
    assert [kind for kind in Kind if not kind.is_temporary] == [PHONE, TEXT, EXPIRED]


def test_only_refusals_of_account_sender_country_or_unknown_need_the_operator() -> None:
    assert {kind for kind in Kind if kind.needs_operator} == {
        *(ACCOUNT, SENDER, DESTINATION, UNKNOWN),
    }


def test_the_guide_explains_each_code() -> None:
    guide = (ROOT / "docs/operations.md").read_text()
    sections = {part.partition("\n")[0]: part for part in guide.split("\n## ")}
    where = {
        **dict.fromkeys((BUSY, IN_DOUBT), "Twilio is down"),
        **dict.fromkeys((ACCOUNT, SENDER, DESTINATION), "Twilio refuses us"),
        **dict.fromkeys((PHONE, TEXT), "Something is in failed"),
    }
    for kind, section in where.items():
        for code in CODES[kind]:
            if code not in range(572002, 572006):  # the guide writes "from … to …"
                assert str(code) in sections[section], (kind, code)
    for code in MEANINGS:
        assert str(code) in sections["Texts are accepted but do not arrive"], code
    for kind in Kind:
        assert f"`{kind}`" in guide


def test_a_refusal_names_the_code_to_look_up() -> None:
    assert refusal(400, 21610).code == 21610
    assert refusal(502, None).code == 502


BAD_SERVER, UNAVAILABLE = refusal(500), refusal(503)
TROUBLES = [BAD_SERVER, UNAVAILABLE, NO_ANSWER, NOT_TWILIO]


@pytest.mark.parametrize("why", [NO_CONNECTION, refusal(401), refusal(403), refusal(400, 20008)])
def test_wrong_credentials_and_a_refused_connection_affect_everyone_at_once(why: Refusal) -> None:
    breaker = Breaker(60)
    breaker.accepted("a", 0)
    breaker.refused("b", why, 1)
    assert breaker.refuses_everybody(1)
    assert not breaker.refuses_everybody(61)
    breaker.accepted("a", 2)
    assert not breaker.refuses_everybody(2)


@pytest.mark.parametrize("why", TROUBLES)
def test_a_refusal_affects_everyone_once_a_second_phone_met_it(why: Refusal) -> None:
    breaker = Breaker(60)
    for _ in range(3):
        breaker.refused("a", why, 0)
    assert breaker.refuses("a", 59)
    assert not breaker.refuses("b", 59)
    breaker.refused("b", why, 30)
    assert breaker.refuses("c", 59)
    assert not breaker.refuses("c", 60)  # the first refusal is too old
    assert breaker.refuses("b", 60)


def test_two_refusals_of_different_kinds_affect_only_their_phones() -> None:
    breaker = Breaker(60)
    for phone, why in zip("abcd", TROUBLES, strict=True):
        breaker.refused(phone, why, 0)
    assert not breaker.refuses_everybody(0)


@pytest.mark.parametrize("code", [21606, 21703, 21408, 29999])
def test_a_refusal_that_may_depend_on_the_phone_never_affects_everyone(code: int) -> None:
    breaker = Breaker(60)
    for phone in "abc":
        breaker.refused(phone, refusal(400, code), 0)
    assert not breaker.refuses_everybody(0)


def test_an_accepted_phone_keeps_refusals_of_others_from_affecting_everyone() -> None:
    breaker = Breaker(60)
    breaker.accepted("c", 0)
    breaker.refused("a", BAD_SERVER, 1)
    breaker.refused("b", BAD_SERVER, 1)
    assert not breaker.refuses_everybody(59)
    assert breaker.refuses_everybody(60)  # the acceptance is too old
