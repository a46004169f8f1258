"""Results on disk: one line of JSON per finished task, so that an interrupted report loses nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

import scatter_theory
from scatter_theory.certify import certificate_from_dict
from scatter_theory.constants import Constant, Provenance
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis, Outcome

#: Finished tasks of a report that is not complete yet; removed when it is.
UNFINISHED = "unfinished.jsonl"


def plain(check: BoundCheck) -> dict[str, Any]:
    """A check as a dictionary without the samples of its witness: seed and mode of search find them again."""
    table = check.to_dict()
    table["witness"] = {k: v for k, v in table["witness"].items() if np.size(check.witness[k]) <= 4}
    return table


def restored(table: Mapping[str, Any]) -> BoundCheck:
    """The check of a dictionary made by `plain`, ready to be drawn and printed."""
    points, provenance = table["points"], table["provenance"]
    return BoundCheck(
        claim=table["claim"],
        outcome=Outcome[table["outcome"]],
        x=_numbers([p["x"] for p in points]),
        x_label=table["x_label"],
        measured=_numbers([p["measured"] for p in points]),
        bound=_numbers([p["bound"] for p in points]),
        series=tuple(p["series"] for p in points),
        constants={k: Constant(**{**c, "value": float(c["value"])}) for k, c in table["constants"].items()},
        hypotheses=tuple(Hypothesis(**h) for h in table["hypotheses"]),
        budget=tuple(ErrorTerm(e["name"], _numbers(e["value"]), e["kind"]) for e in table["budget"]),
        provenance=Provenance(**provenance),
        search={k: float(v) for k, v in table["search"].items()},
        witness=dict(table["witness"]),
        extra={k: _numbers(v) for k, v in table["extra"].items()},
        notes=tuple(table["notes"]),
        certificates=tuple(map(certificate_from_dict, table["certificates"])),
    )


def _numbers(values: Any) -> np.ndarray:
    """Floats; non-finite ones are stored as strings."""
    return np.asarray(values if np.ndim(values) else float(values)).astype(float)


def fingerprint(seed: int, *, quick: bool) -> str:
    """Changes with the seed, the plan, the versions, and every line of the package: only equal ones may be resumed."""
    digest = hashlib.sha256(f"{seed} {quick} {torch.__version__} {np.__version__}".encode())
    root = Path(scatter_theory.__file__).parent
    for file in sorted(root.rglob("*.py")):
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


class Store:
    """Finished tasks in ``unfinished.jsonl``.

    Parameters
    ----------
    folder : Path
    version : str
        Lines of another `fingerprint` are dropped.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self.path, self.version = folder / UNFINISHED, version
        self.results: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        """Keep the finished tasks of this version; failed ones, and a line that was cut off, are dropped."""
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                continue
            if entry.get("version") == self.version and "error" not in entry["result"]:
                self.results[entry["result"]["key"]] = entry["result"]
        self.path.write_text("".join(self._line(r) for r in self.results.values()), encoding="utf-8")

    def _line(self, result: dict[str, Any]) -> str:
        return json.dumps({"version": self.version, "result": result}, allow_nan=False) + "\n"

    def add(self, result: dict[str, Any]) -> None:
        """Keep a result, on disk before anything else happens."""
        self.results[result["key"]] = result
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(self._line(result))

    def close(self) -> None:
        """The report is written: forget the unfinished one."""
        self.path.unlink(missing_ok=True)
