"""Every measured figure in a document comes from bench/results.json."""

import re
import subprocess
import sys
import tomllib

import pytest

from handler.ledger import ASK_AFTER_SECONDS, LEASE_SECONDS
from handler.line_search import CONTEXT_BYTES
from handler.log_content import MAX_BYTES
from infra.settings import MAX_ENVIRONMENT_BYTES
from stack import ROOT

# `make bench` writes docs/scale.md from bench/scale.md. Old figures in the changelog may stay.
DOCUMENTS = sorted(
    {
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.md", "docs/*.md", "bench/*.md", "Pulumi.yaml")
        for path in ROOT.glob(pattern)
    }
    - {"docs/scale.md", "CHANGELOG.md"}
)
SENTENCES = tomllib.loads((ROOT / "bench/sentences.toml").read_text())
PLACEHOLDER = r"\{[^}]*\}"
FIGURE = re.compile(r"\$\d[\d.,]*(?<![.,])|\d[\d.,]*[ -]?(?:ms|µs|s|seconds?|min|[kKMG]B|%)(?!\w)")

LIMITS = (
    f"{MAX_BYTES / 1e6:.0f} MB",
    f"{MAX_ENVIRONMENT_BYTES // 1024} KB",
    f"{CONTEXT_BYTES // 1000} kB around the word",
    f"{LEASE_SECONDS} seconds: longer than sending takes",
    f"at least {ASK_AFTER_SECONDS} seconds after the attempt",
    "such as `1 kB`",
    "such as 1 kB",
)
"""Limits of the code and examples of settings: figures that are not measured."""


def measured_figures(text: str, sentences: list[str]) -> list[str]:
    """Return the figures of a document that `make bench` does not write.

    Blocks of code do not count: they are examples. The times in the table of lanes are pytest's.
    """
    text = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ +\| (lane|and|all|`tests/).*$", "", text, flags=re.MULTILINE)
    for sentence in sentences:
        words = map(re.escape, re.split(PLACEHOLDER, sentence))
        text = re.sub(r"\d[\d.,]*".join(words), "", text)
    for limit in LIMITS:
        text = text.replace(limit, "")
    return FIGURE.findall(re.sub(PLACEHOLDER, "", text))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_has_no_measured_figure_that_make_bench_does_not_write(name: str) -> None:
    assert measured_figures((ROOT / name).read_text(), SENTENCES.get(name, [])) == []


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("A start takes 68 ms, or $0.40.", ["68 ms", "$0.40"]),
        ("It takes 3,400 s and 12% of 5 GB.", ["3,400 s", "12%", "5 GB"]),
        ("A text costs $0.01 and 9 ms in all.", []),
        ("It reads 64 MB.\n```\nin 4.6 s\n```", []),
    ],
)
def test_a_measured_figure_is_found(sentence: str, found: list[str]) -> None:
    written = "A text costs ${prices[TEXT]:.2f} and {warm[text, s]:.0f} ms in all."
    assert measured_figures(sentence, [written]) == found


@pytest.mark.parametrize("room", ["handler", "infra", "local", "ops", "stack"])
def test_no_code_states_a_measured_time(room: str) -> None:
    sources = {path: path.read_text() for path in (ROOT / room).rglob("*.py")}
    assert [path.name for path, text in sources.items() if re.search(r"\d (ms|µs)\b", text)] == []


def test_the_documents_have_the_figures_of_the_results() -> None:
    """`make bench` writes both. Editing only one of them is an error."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.report", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
