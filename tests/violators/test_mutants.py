"""Every verifier goes red on its mutants and stays green on the healthy network.

The catalogue names each mutant, the verifier that has to catch it, and the modes of search that must suffice.
"""

import re
from pathlib import Path

import pytest
from violators.catalogue import FLOORS, HEALTHY, MUTANTS, modes, run
from violators.table import measure

import scatter_theory as st

PAGE = Path(__file__).parents[2] / "docs" / "theory" / "mutants.md"


@pytest.fixture(scope="module")
def page() -> dict[str, list[str]]:
    """Rows of the committed table by mutant: the entries of given, random, structured, ascent."""
    rows = re.findall(r"^\| (.+?) \| .+? \| `\w+`(?: \(floor\))? \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: entries.split(" | ") for name, entries in rows}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.verifier}: {m.name}")
def test_the_verifier_kills(mutant, page):
    """Red in every mode that is declared to suffice, and the committed table tells the same story."""
    seen = measure(mutant)
    assert [mode for mode in mutant.caught if not seen[mode][0]] == []
    entries = [entry for entry in page[mutant.name] if entry != "–"]
    assert [entry.startswith("**") for entry in entries] == [caught for caught, _ in seen.values()]


@pytest.mark.parametrize("verifier", HEALTHY)
def test_the_healthy_network_stays_green(verifier):
    with HEALTHY[verifier]() as check:
        for mode in modes(verifier):
            assert not run(check, verifier, mode)[0]


@pytest.mark.parametrize("verifier", FLOORS)
def test_the_healthy_network_reaches_its_floor(verifier):
    """Without this the floor mutants would prove nothing."""
    with HEALTHY[verifier]() as check:
        assert not run(check, verifier, "structured", floor=True)[0]


def test_no_mutant_declares_another_constant():
    """The declared constants are those of the healthy network: what is wrong is what computes, or a formula."""
    for verifier in ("lipschitz", "balance", "covariance"):
        for mutant in (m for m in MUTANTS if m.verifier == verifier and not m.floor):
            with mutant.check() as check:
                constants = check(st.verify.Effort(1, 0, 0, 0)).constants
            assert all(c.kind in ("grid", "derived", "analytic") for c in constants.values()), mutant.name
