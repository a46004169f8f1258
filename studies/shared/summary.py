"""Accuracies of models, and means over seeds with their standard errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from studies.shared.batches import Split, ready
from studies.shared.folders import FolderSplit
from studies.shared.parallel import Place

#: One process, on the CPU.
ALONE = Place()


@torch.no_grad()
def accuracy(model: nn.Module, split: Split | FolderSplit, where: Place = ALONE) -> float:
    """Share of the images that are classified correctly, in per cent; the same in all processes."""
    model.eval()
    right = torch.zeros((), dtype=torch.int64, device=where.device)
    for batch in split.plain(where.share):
        x, y = ready(batch, where.device)
        right += (model(x).argmax(1) == y).sum()
    return 100 * int(where.total(right)) / len(split)


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error; the latter NaN for a single value."""
    n, mean = len(values), sum(values) / len(values)
    return mean, math.sqrt(sum((x - mean) ** 2 for x in values) / (n - 1) / n) if n > 1 else math.nan


def table_lines(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown, line by line."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *body)]
