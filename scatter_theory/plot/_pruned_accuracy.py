"""Accuracies of several pruning runs against the share of weights alive, and their differences paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scatter_theory.plot._display import Display
from scatter_theory.plot._pruning_history import alive_axis
from scatter_theory.plot._style import COLOURS, MARKERS

if TYPE_CHECKING:
    from scatter_theory.pruning import History


@dataclass(eq=False, repr=False)
class PrunedAccuracyDisplay(Display):
    """Left, an accuracy against the share of weights alive; right, differences to a reference, paired by seed.

    Points are means over seeds, bars one standard error of the mean; a single seed has none. On the right it is the
    standard error of the differences, from which what a seed has in common is gone.

    Parameters
    ----------
    alive : (n_cycles,) array
        Share of the weights alive, the same for all.
    values : mapping of str to (n_seeds, n_cycles) array
        By method; row k has the same seed everywhere.
    reference : str
        Which method is subtracted.
    label : str
        What the values are.

    Raises
    ------
    ValueError
        If the reference is missing or the shapes differ.
    """

    alive: np.ndarray
    values: Mapping[str, np.ndarray]
    reference: str
    label: str = "accuracy"

    def __post_init__(self) -> None:
        if self.reference not in self.values:
            raise ValueError(
                f"`PrunedAccuracyDisplay(reference=...)`: got {self.reference!r}, expected one of {list(self.values)}."
            )
        shapes = {name: np.shape(x) for name, x in self.values.items()}
        wanted = shapes[self.reference]
        if set(shapes.values()) != {wanted} or len(wanted) != 2 or wanted[1] != len(self.alive):
            raise ValueError(
                f"`PrunedAccuracyDisplay(values=...)`: got shapes {shapes} for {len(self.alive)} shares of weights "
                "alive, expected (seeds, shares), the same for all."
            )

    @classmethod
    def from_histories(
        cls, histories: Mapping[str, Sequence[History]], *, reference: str, value: str = "accuracy"
    ) -> PrunedAccuracyDisplay:
        """Display of runs with equal sparsities: for each method one history per seed, in the same order.

        Raises
        ------
        ValueError
            If the sparsities of the runs differ by more than one weight in a thousand.
        """
        runs = [history for group in histories.values() for history in group]
        wanted = runs[0].sparsity
        for history in runs:
            if history.sparsity.shape != wanted.shape or np.abs(history.sparsity - wanted).max() > 1e-3:
                raise ValueError(
                    "`PrunedAccuracyDisplay.from_histories(histories=...)`: got runs of different sparsity, "
                    f"{np.round(history.sparsity, 4)} and {np.round(wanted, 4)}; expected the same at each cycle."
                )
        values = {name: np.stack([h.value(value) for h in group]) for name, group in histories.items()}
        return cls(1.0 - wanted, values, reference, value)

    def _layout(self) -> tuple[int, int]:
        return 1, 2

    def _figsize(self) -> tuple[float, float]:
        return 9.4, 3.8

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        left, right = axes[0]
        self.artists = {"values": {}, "differences": {}}
        for k, (name, values) in enumerate(self.values.items()):
            look = {"color": COLOURS[k % 7], "marker": MARKERS[k % 7], "capsize": 2, "label": name, **style}
            self.artists["values"][name] = self._bars(left, values, look)
            if name != self.reference:
                self.artists["differences"][name] = self._bars(right, values - self.values[self.reference], look)
        right.axhline(0.0, color="black", linewidth=0.8)
        left.set(title=self.label)
        right.set(title=f"{self.label}, minus {self.reference}")
        left.legend(loc="best")
        for ax in (left, right):
            alive_axis(ax, self.alive)

    def _bars(self, ax: Any, values: np.ndarray, look: dict[str, Any]) -> Any:
        seeds = len(values)
        error = values.std(0, ddof=1) / seeds**0.5 if seeds > 1 else None
        return ax.errorbar(self.alive, values.mean(0), yerr=error, **look)
