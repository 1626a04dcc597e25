"""External text cannot control an operator's terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.printable import JOINERS, printable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("app/web.log", "app/web.log"),
        ("Übergabe Köln 日本 ✅.log", "Übergabe Köln 日本 ✅.log"),
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("a\nb\r\x08c\x7f\x9b31m", r"a\nb\r\x08c\x7f\x9b31m"),
        ("a\u202egol.b\u2066\u2028", r"a\u202egol.b\u2066\u2028"),
        ("\udc80", r"\udc80"),
        ("می\u200cروم 👩\u200d💻", "می\u200cروم 👩\u200d💻"),
        (30007, "30007"),
    ],
)
def test_a_character_that_controls_a_terminal_becomes_its_escape(raw: object, shown: str) -> None:
    assert printable(raw) == shown


@given(st.text(alphabet=st.characters()))
def test_no_character_of_any_script_controls_the_terminal(raw: str) -> None:
    shown = printable(raw)
    controls = {one for one in shown if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert controls <= set(JOINERS)
