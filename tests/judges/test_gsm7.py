"""Two SMS libraries check the alphabet, the segments and the wording of the texts.

`gsm0338` is a codec of GSM-7, and `smsutil` splits a body into the segments that a phone joins.
"""

import datetime

import pytest
import smsutil
from gsm0338 import Codec
from hypothesis import given, settings
from hypothesis import strategies as st

from handler.segments import GSM, GSM_EXTENSION, segments
from handler.text import MAX_CHARACTERS, SUMMARY_SEGMENTS, summarize, write
from local import segments as networks
from simulation.samples import MESSAGE, log_file

ESCAPE = "\x1b"
"""The prefix of each character of the extension, which `smsutil` counts as a character. No text
contains it, because control characters are replaced."""

CODEC = Codec()
EXAMPLES = settings(max_examples=500)

characters = st.characters(exclude_characters=ESCAPE, exclude_categories=["Cs"])
alphabets = st.sampled_from(
    [
        st.sampled_from(sorted(GSM)),
        st.sampled_from(sorted(GSM | GSM_EXTENSION)),
        st.sampled_from("a€ж🔥"),
        st.sampled_from("日🔥"),
        characters,
    ]
)
bodies = alphabets.flatmap(
    # Repeat a few characters: only long bodies reach the ends of segments.
    lambda alphabet: st.builds(
        lambda part, more, length: (part * length)[:length] + more,
        st.text(alphabet, min_size=1, max_size=12),
        st.text(alphabet, max_size=5),
        st.integers(1, MAX_CHARACTERS),
    )
)
keys = alphabets.flatmap(lambda alphabet: st.text(alphabet, min_size=1, max_size=1024))


def septets(body: str) -> int | None:
    """Count a body's septets in GSM-7. Return None if it has another character."""
    try:
        return len(CODEC.encode(body)[0])
    except UnicodeEncodeError:
        return None


def test_the_alphabet_is_gsm_7_and_its_extension_takes_two() -> None:
    lengths = dict.fromkeys(GSM, 1) | dict.fromkeys(GSM_EXTENSION, 2)
    every = (chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    smsutil_lengths = {one: count for one in every if (count := septets(one)) and one != ESCAPE}
    assert smsutil_lengths == lengths
    assert set(smsutil.codecs.GSM_CHARSET) - {ESCAPE} == set(lengths)


@EXAMPLES
@given(bodies)
def test_a_body_takes_as_many_segments_as_it_is_split_into(body: str) -> None:
    split = smsutil.split(body)
    assert segments(body) == len(split.parts)
    assert networks.segments(body) == len(split.parts)


@EXAMPLES
@given(bodies)
def test_a_body_is_in_the_same_encoding(body: str) -> None:
    in_gsm = septets(body) is not None
    assert (smsutil.split(body).encoding == "gsm0338") == in_gsm
    assert (set(body) <= GSM | GSM_EXTENSION) == in_gsm


@EXAMPLES
@given(keys, st.text("abc-", min_size=3, max_size=63))
def test_a_text_about_any_key_takes_one_segment(key: str, bucket: str) -> None:
    body = write(log_file(key, bucket=bucket), MESSAGE, datetime.UTC)
    assert len(smsutil.split(body).parts) == 1


@given(st.lists(keys, min_size=2, max_size=30))
def test_a_summary_takes_two_segments_at_most(several: list[str]) -> None:
    body = summarize([log_file(key) for key in several], datetime.UTC)
    assert len(smsutil.split(body).parts) <= SUMMARY_SEGMENTS


@pytest.mark.parametrize(("key", "encoding"), [("naïve.log", "gsm0338"), ("журнал", "utf_16_be")])
def test_a_text_leaves_gsm_7_only_for_characters_without_a_lookalike_in_it(
    key: str, encoding: str
) -> None:
    assert smsutil.split(write(log_file(key), MESSAGE, datetime.UTC)).encoding == encoding
