"""One measurement of the study, kept as one file, so that an interrupted study continues where it was."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from studies.shared.files import kept, replace_file, say

#: What the jobs of a part have found, by the names of the jobs, in their order.
Found = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One measurement.

    Parameters
    ----------
    part, name : str
        Letter of the part, and a name that is different from those of the other jobs of the part.
    settings : dict
        Names, sizes and seeds that its numbers depend on; of what JSON can hold.
    measure : callable
        Takes nothing and returns what was found; of what JSON can hold.
    """

    part: str
    name: str
    settings: dict[str, Any]
    measure: Callable[[], Any]

    def file(self, out: Path) -> Path:
        """Where the result is kept."""
        return out / "runs" / f"{self.part}-{self.name}.json"


def run(job: Job, out: Path) -> None:
    """Measure, unless the file is there.

    Raises
    ------
    ValueError
        If the file that is there belongs to other settings.
    """
    target = job.file(out)
    # As JSON stores them: tuples become lists.
    wanted = json.loads(json.dumps(job.settings))
    if kept(target, wanted) is not None:
        return
    started = time.process_time()
    found = job.measure()
    result = {
        "settings": wanted,
        "versions": {"torch": str(torch.__version__), "python": platform.python_version()},
        "cpu_seconds": round(time.process_time() - started, 1),
        "found": found,
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, lambda path: path.write_text(json.dumps(result, indent=1) + "\n"))
    say(f"{job.part} {job.name}: {result['cpu_seconds']} s of CPU")


def read(jobs: Sequence[Job], out: Path) -> Found:
    """What finished jobs have found."""
    return {job.name: json.loads(job.file(out).read_text())["found"] for job in jobs}
