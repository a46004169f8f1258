"""The textures of part f: patches of three photographs, told apart with few training patches.

One half of each photograph is learned from, the other one tested, and then the other way round; between them lies a
strip that no patch touches. Patches lie side by side. Each has its mean subtracted and is divided by its standard
deviation, so that neither brightness nor contrast tells anything. A feature is the mean of one output over the patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

import scatter_theory as st
from scatter_theory.data import TEXTURES
from studies.fashion_mnist.classifier import Comparison
from studies.literature.compared import FRAMES, KYMATIO, Budget, within
from studies.literature.images import Images, extracted
from studies.literature.jobs import Found, Job
from studies.literature.ridge import CONSTANTS, linear
from studies.shared.summary import table_lines

BUDGET = Budget(J=2, paths=25, samples=1, angles=4)
#: Columns between the halves.
GAP = 64


@dataclass(frozen=True)
class Size:
    """What is measured.

    Parameters
    ----------
    sides : tuple of int
        Sides of the patches.
    train : tuple of int
        Training patches per texture; 0 for all of the half.
    draws : int
        Drawings of them, at most 255.
    choosing : int
        Training patches that choose the paths.
    seed : int
    """

    sides: tuple[int, ...]
    train: tuple[int, ...]
    draws: int
    choosing: int
    seed: int = 0


FULL = Size(sides=(16, 32), train=(10, 50, 0), draws=20, choosing=200)
QUICK = Size(sides=(32,), train=(5, 0), draws=2, choosing=20)


@dataclass(frozen=True)
class Row:
    """Test errors of one frame, in per cent: means over test patches and over drawings of the training patches.

    Parameters
    ----------
    side : int
        Of the patches.
    train : int
        Training patches per texture.
    frame : str
    features : int
    tests : int
        Test patches.
    error : float
    minus_kymatio, minus_kymatio_error : float or None
        Difference with the same training and test patches, and its standard error, paired over test patches.
    """

    side: int
    train: int
    frame: str
    features: int
    tests: int
    error: float
    minus_kymatio: float | None
    minus_kymatio_error: float | None


def halves(photographs: Sequence[Tensor], side: int, seed: int) -> list[Images]:
    """Both ways of learning from one half and testing on the other; training patches in random order."""
    columns = photographs[0].shape[1]
    middle = (columns - GAP) // 2
    parts = [
        torch.cat([patches(x[:, start : start + middle], side) for x in photographs]) for start in (0, columns - middle)
    ]
    labels = torch.arange(len(photographs)).repeat_interleave(len(parts[0]) // len(photographs))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    return [
        Images(torch.cat([parts[k][order], parts[1 - k]]), torch.cat([labels[order], labels]), len(labels))
        for k in range(2)
    ]


def patches(values: Tensor, side: int) -> Tensor:
    """Squares side by side ``(count, side, side)``, float32, with mean 0 and variance 1 each; a rest is left out."""
    found = values.unfold(0, side, side).unfold(1, side, side).reshape(-1, side, side)
    centred = found - found.mean((1, 2), keepdim=True)
    return (centred / centred.std((1, 2), correction=0, keepdim=True)).float()


def drawings(labels: Tensor, count: int, number: int, seed: int) -> list[Tensor]:
    """Indices of so many patches of every texture, drawn anew each time; 0 is one drawing of all."""
    if not count:
        return [torch.arange(len(labels))]
    generator = torch.Generator().manual_seed(seed)
    own = [torch.nonzero(labels == k)[:, 0] for k in range(len(TEXTURES))]
    return [torch.cat([i[torch.randperm(len(i), generator=generator)[:count]] for i in own]) for _ in range(number)]


def measure(settings: dict[str, Any], photographs: Sequence[Tensor]) -> dict[str, Any]:
    """How often every test patch is wrong, by the number of training patches."""
    seed, features = settings["seed"], 0
    wrong: list[list[Tensor]] = [[] for _ in settings["train"]]
    used: list[dict[str, int]] = [{} for _ in wrong]
    for data in halves(photographs, settings["side"], seed):
        n = data.train
        kept = within(settings["frame"], BUDGET, data.images[: settings["choosing"]])
        values = extracted(kept.features, data.images)
        for k, count in enumerate(settings["train"]):
            drawn = drawings(data.labels[:n], count, settings["draws"], seed)
            chosen = [torch.cat([i, torch.arange(n, len(values))]) for i in drawn]
            flags = [linear(values[i], data.labels[i], len(drawn[0])).wrong for i in chosen]
            wrong[k].append(torch.stack(flags).sum(0))
            used[k] = {"train": len(drawn[0]) // len(TEXTURES), "draws": len(drawn)}
        features = values.shape[1]
    # One byte per test patch.
    runs = [{**head, "wrong": bytes(torch.cat(parts).tolist()).hex()} for head, parts in zip(used, wrong, strict=True)]
    return {"side": settings["side"], "frame": settings["frame"], "features": features, "runs": runs}


def jobs(size: Size) -> list[Job]:
    """All frames and the reference, for every size of the patches."""
    photographs = [torch.from_numpy(st.data.texture(name).values.copy()) for name in TEXTURES]
    found = []
    for side in size.sides:
        for name in (KYMATIO, *FRAMES):
            settings = {"data": "textures", "side": side, "frame": name, "gap": GAP, **vars(BUDGET), **CONSTANTS}
            settings |= {"train": size.train, "draws": size.draws, "choosing": size.choosing, "seed": size.seed}
            slug = f"textures-{side}-{name.lower().replace(' ', '-')}"
            found.append(Job("f", slug, settings, partial(measure, settings, photographs)))
    return found


def rows(found: Found) -> list[Row]:
    """One row per size of the patches, number of training patches and frame."""
    runs = [(r, run) for r in found.values() for run in r["runs"]]
    base = {_key(r, run): _shares(run) for r, run in runs if r["frame"] == KYMATIO}
    table = []
    for r, run in runs:
        shares = _shares(run)
        pair = Comparison.of(shares, base[_key(r, run)])
        gap = (None, None) if r["frame"] == KYMATIO else (pair.difference, pair.standard_error)
        table.append(Row(r["side"], run["train"], r["frame"], r["features"], len(shares), pair.error, *gap))
    return sorted(table, key=lambda row: (row.side, row.train))


def _shares(run: dict[str, Any]) -> Tensor:
    """Share of the drawings in which a test patch is wrong."""
    return torch.tensor(list(bytes.fromhex(run["wrong"])), dtype=torch.float64) / run["draws"]


def _key(r: dict[str, Any], run: dict[str, Any]) -> tuple[int, int]:
    return r["side"], run["train"]


def markdown(found: Found) -> list[str]:
    """Lines of a table: frames by size of the patches and number of training patches."""
    table = rows(found)
    columns = list(dict.fromkeys((r.side, r.train) for r in table))
    by_frame = {name: {(r.side, r.train): r for r in table if r.frame == name} for name in (KYMATIO, *FRAMES)}
    head = ["frame", *(f"{side} x {side}, {train} per texture" for side, train in columns)]
    return table_lines(head, ([name, *(_cell(part[c]) for c in columns)] for name, part in by_frame.items()))


def _cell(r: Row) -> str:
    gap = "" if r.minus_kymatio is None else f" ({r.minus_kymatio:+.2f} +- {r.minus_kymatio_error:.2f})"
    return f"{r.error:.2f}{gap}"
