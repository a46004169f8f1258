"""The command line of a study on Fashion-MNIST: two processes that share the runs, then a table."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from studies.shared.fashion import find, load


@dataclass(frozen=True)
class Study:
    """What differs between studies.

    Parameters
    ----------
    name : str
        Of the folder of results under ``report``.
    purpose : str
        One line for the help.
    command : tuple of str
        What Python is started with, again for each process.
    full, quick : Any
        Plans, with the numbers ``images`` and ``validation``.
    part : callable
        ``part(plan, data, out, k, n)`` makes every n-th run, beginning with number k; what is finished is kept.
    summary : callable
        ``summary(plan, data, out)`` writes the tables and returns one.
    """

    name: str
    purpose: str
    command: tuple[str, ...]
    full: Any
    quick: Any
    part: Callable[..., None]
    summary: Callable[..., str]


def main(study: Study, argv: Sequence[str] | None = None) -> int:
    """Run a study; 0 when all is done, 1 when a process failed, 2 when the images are missing."""
    options = _arguments(study, argv)
    plan = study.quick if options.quick else study.full
    try:
        folder = find(options.data)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    data = load(folder, images=plan.images, validation=plan.validation)
    if options.part is not None:
        part, parts = map(int, options.part.split("/"))
        try:
            study.part(plan, data, options.out, part, parts)
        except KeyboardInterrupt:  # The process that started this one hears of it too, and says so.
            return 130
        return 0
    again = [sys.executable, *study.command, "--data", str(folder), "--out", str(options.out)]
    again += ["--quick"] if options.quick else []
    processes = [subprocess.Popen([*again, "--part", f"{k}/2"]) for k in range(2)]
    try:
        failed = any([process.wait() for process in processes])
    except KeyboardInterrupt:
        for process in processes:
            process.wait()
        raise
    if failed:
        print("A process failed; the same command continues where it was.", file=sys.stderr)
        return 1
    print(study.summary(plan, data, options.out))
    return 0


def _arguments(study: Study, argv: Sequence[str] | None) -> argparse.Namespace:
    name = study.name
    parser = argparse.ArgumentParser(description=study.purpose)
    parser.add_argument("--data", type=Path, help="folder with the four files of Fashion-MNIST; default: usual places")
    parser.add_argument(
        "--out", type=Path, help=f"folder of the results; default: report/{name} or report/{name}-quick"
    )
    parser.add_argument("--quick", action="store_true", help="the same in two minutes, to see that everything works")
    parser.add_argument("--part", metavar="K/N", help="make this share of the runs only, and no table")
    parsed = parser.parse_args(argv)
    parsed.out = parsed.out or Path("report") / (f"{name}-quick" if parsed.quick else name)
    return parsed
