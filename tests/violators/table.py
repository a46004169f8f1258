"""Write docs/theory/mutants.md: which mode of search catches which mutant.

Run from the root of the repository::

    PYTHONPATH=tests python -m violators.table > docs/theory/mutants.md
"""

from __future__ import annotations

import torch
from violators.catalogue import HEALTHY, MODES, MUTANTS, Mutant, modes, run

HEAD = """# What catches what

A verifier is worth what it notices. Each row is a network, an operator or a bound with one thing wrong; its declared
constants stay those of the healthy one. Each mode of search is run alone. **Bold**: the verifier turned red. Numbers
are measured / bound, for identities (`balance`, `covariance`) the relative defect, whose tolerance is 1e-12. Where the
bound is too large nothing is violated; there known extremal signals have to reach a floor (0.999 of the Lipschitz
bound; 0.99 of the translation bound in layer 0 and 0.6 in layer 1), and bold means that they did not.

Random draws, half of them with a 1/f spectrum, find coarse defects, but miss a single filter that is 20 % too strong
and nearly always see less than the truth; a user's own signals can miss a defect altogether; tones, beats, combs and
spikes find them all. The ascent starts from eight random draws here. This is why every check searches in several ways.

Written by `PYTHONPATH=tests python -m violators.table > docs/theory/mutants.md`; a test keeps the bold entries true.

"""


def measure(mutant: Mutant) -> dict[str, tuple[bool, float]]:
    """Whether each mode catches the mutant, and the number it sees."""
    with mutant.check() as check:
        searched = modes(mutant.verifier, mutant.floor)
        return {mode: run(check, mutant.verifier, mode, floor=mutant.floor) for mode in searched}


def measure_healthy() -> dict[str, dict[str, tuple[bool, float]]]:
    """The same for the healthy network."""
    rows = {}
    for verifier, context in HEALTHY.items():
        with context() as check:
            rows[verifier] = {mode: run(check, verifier, mode) for mode in modes(verifier)}
    return rows


def cell(entry: tuple[bool, float] | None) -> str:
    """One entry of the table."""
    if entry is None:
        return "–"
    caught, number = entry
    text = f"{number:.1e}" if number < 1e-3 else f"{number:.3f}"
    return f"**{text}**" if caught else text


def markdown() -> str:
    """The page."""
    lines = [HEAD + "| mutant | defect | verifier | " + " | ".join(MODES) + " |", "|---" * (3 + len(MODES)) + "|"]
    for verifier, row in measure_healthy().items():
        lines.append(f"| healthy | none | `{verifier}` | " + " | ".join(cell(row.get(m)) for m in MODES) + " |")
    for mutant in MUTANTS:
        row = measure(mutant)
        name = f"`{mutant.verifier}`" + (" (floor)" if mutant.floor else "")
        entries = " | ".join(cell(row.get(m)) for m in MODES)
        lines.append(f"| {mutant.name} | {mutant.defect} | {name} | {entries} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(markdown(), end="")
