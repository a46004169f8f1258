"""The experiments of the literature on deep frame-based features, repeated under one roof.

Each part has a letter and may run alone. Every measurement is kept as one file, so that an interrupted study continues
where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch

from studies.literature import budget, decay, discrete, exponents, importance, invariance
from studies.literature.jobs import Job, read, run
from studies.shared.fashion import find
from studies.shared.files import write_csv

PARTS: dict[str, ModuleType] = {
    "a": discrete,
    "b": importance,
    "c": decay,
    "d": invariance,
    "e": exponents,
    "f": budget,
}
#: Parts that read Fashion-MNIST.
ON_IMAGES = ("a", "b", "f")


def jobs(letter: str, *, quick: bool, folder: Path | None) -> list[Job]:
    """The measurements of a part."""
    part = PARTS[letter]
    size = part.QUICK if quick else part.FULL
    return part.jobs(size, folder) if letter in ON_IMAGES else part.jobs(size)


def summarise(letter: str, done: Sequence[Job], out: Path) -> str:
    """Write tables and figure of a part whose measurements are finished; its tables as text."""
    part, found = PARTS[letter], read(done, out)
    for name, table in part.tables(found).items():
        write_csv(table, out / f"{name}.csv")
    text = f"## {letter}. {part.__doc__.splitlines()[0].split(': ', 1)[1]}\n\n{part.markdown(found)}"
    (out / f"{letter}.md").write_text(text)
    part.draw(found, out / f"{letter}.png")
    return text


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts; 0 when all is done, 2 when the images or the textures are missing."""
    options = _arguments(argv)
    letters = sorted(set(options.part or PARTS))
    try:
        folder = find(options.data) if set(letters) & set(ON_IMAGES) else None
        plans = {letter: jobs(letter, quick=options.quick, folder=folder) for letter in letters}
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    for letter, planned in plans.items():
        for job in planned:
            run(job, options.out)
        print(summarise(letter, planned, options.out))
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=list(PARTS), action="append", help="this part only; may be given repeatedly")
    parser.add_argument("--data", type=Path, help="folder with the four files of Fashion-MNIST; default: usual places")
    parser.add_argument("--out", type=Path, help="folder of the results; default: report/literature[-quick]")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything works")
    parsed = parser.parse_args(argv)
    parsed.out = parsed.out or Path("report") / ("literature-quick" if parsed.quick else "literature")
    return parsed
