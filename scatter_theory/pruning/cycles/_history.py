"""What the cycles of one pruning run have left behind: counts, dead-neuron rates, and the values told by the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scatter_theory.meters import Recorder
from scatter_theory.meters._recorder import check_recorder, numbers
from scatter_theory.optional import data_frame
from scatter_theory.pruning.dead._dead_neurons import DeadNeurons


@dataclass(frozen=True, eq=False)
class CycleReport:
    """One training of a pruning run, looked at when it was over.

    Parameters
    ----------
    cycle, round : int
        Which cycle, from 0 (nothing pruned), and which training in it, from 1.
    alive, sizes : mapping of str to int
        Surviving and all weights of each prunable tensor, during this training.
    removed : mapping of str to mapping of str to int
        For ``"rule"`` and ``"selection"`` how many weights each took from each tensor just before this training.
    values : mapping of str to float
        What `Step.record` was given, e.g. the accuracy.
    dead : DeadNeurons or None
        Dead neurons after the training; None if nothing is measured.
    """

    cycle: int
    round: int
    alive: Mapping[str, int]
    sizes: Mapping[str, int]
    removed: Mapping[str, Mapping[str, int]]
    values: Mapping[str, float] = field(default_factory=dict)
    dead: DeadNeurons | None = None

    @property
    def sparsity(self) -> float:
        """Share of the prunable weights that are pruned."""
        return 1 - sum(self.alive.values()) / sum(self.sizes.values())

    @property
    def removed_by(self) -> dict[str, int]:
        """Number of weights that each took, over all tensors."""
        return {who: sum(layers.values()) for who, layers in self.removed.items()}

    def row(self) -> dict[str, float]:
        """The numbers as one row: cycle, sparsity, counts, recorded values, and the pooled rates where measured."""
        row: dict[str, float] = {"cycle": self.cycle, "round": self.round, "sparsity": self.sparsity}
        row["alive"] = sum(self.alive.values())
        row |= {f"removed by {who}": n for who, n in self.removed_by.items()} | dict(self.values)
        if self.dead is not None:
            names = ("total", "static", "dynamic")
            row |= {name: float(self.dead.rate(name, reduction="pooled")) for name in names}
        return row

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary; `from_dict` reads it."""
        return {
            "cycle": self.cycle,
            "round": self.round,
            "alive": dict(self.alive),
            "sizes": dict(self.sizes),
            "removed": {who: dict(layers) for who, layers in self.removed.items()},
            "values": dict(self.values),
            "dead": None if self.dead is None else self.dead.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CycleReport:
        """Report from what `to_dict` gave."""
        dead = None if data["dead"] is None else DeadNeurons.from_dict(data["dead"])
        return cls(**{**data, "dead": dead})

    def __str__(self) -> str:
        taken = ", ".join(f"{n} by the {who}" for who, n in self.removed_by.items() if n)
        values = "".join(f", {name} {value:.4g}" for name, value in self.values.items())
        alive = f"{sum(self.alive.values())} of {sum(self.sizes.values())} weights alive"
        head = f"cycle {self.cycle}, training {self.round}: {alive} ({self.sparsity:.2%} pruned){values}"
        head += f"; removed before it: {taken}" if taken else ""
        return head if self.dead is None else f"{head}\n{self.dead}"

    __repr__ = __str__


@dataclass(frozen=True, eq=False)
class History:
    """Reports of the trainings of a pruning run, in order.

    Parameters
    ----------
    settings : mapping of str to str
        How the run was set up.
    reports : tuple of CycleReport
    """

    settings: Mapping[str, str]
    reports: tuple[CycleReport, ...]

    def __len__(self) -> int:
        return len(self.reports)

    @property
    def cycles(self) -> np.ndarray:
        """Number of the cycle of each report, int64, shape ``(n,)``."""
        return np.array([report.cycle for report in self.reports], dtype=np.int64)

    @property
    def sparsity(self) -> np.ndarray:
        """Share of pruned weights during each training, shape ``(n,)``."""
        return np.array([report.sparsity for report in self.reports])

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the prunable tensors."""
        return tuple(self.reports[0].sizes) if self.reports else ()

    @property
    def layer_sparsity(self) -> np.ndarray:
        """Share of pruned weights of each tensor, shape ``(n_layers, n)``."""
        shares = [[1 - r.alive[layer] / r.sizes[layer] for r in self.reports] for layer in self.layers]
        return np.array(shares).reshape(len(self.layers), len(self))

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the measured sites.

        Raises
        ------
        ValueError
            If dead neurons were not measured, or not at the same sites every time.
        """
        found = {report.dead.sites for report in self._measured()}
        if len(found) > 1:
            raise ValueError(
                f"`History.sites`: the sites differ between the trainings, got {found}, expected the same."
            )
        return found.pop() if found else ()

    def rate(self, name: str, reduction: str = "pooled") -> np.ndarray:
        """One dead-neuron rate of the whole model after each training, shape ``(n,)``; names as in `DeadNeurons`."""
        return np.array([float(r.dead.rate(name, reduction=reduction)) for r in self._measured()])

    def site_rates(self, name: str) -> np.ndarray:
        """One dead-neuron rate of each site after each training, shape ``(n_sites, n)``."""
        rates = [np.asarray(report.dead.rate(name)) for report in self._measured()]
        return np.stack(rates, axis=1) if rates else np.empty((0, 0))

    def value(self, name: str) -> np.ndarray:
        """What `Step.record` was told under this name, shape ``(n,)``, NaN where it was told nothing.

        Raises
        ------
        KeyError
            If it never was.
        """
        if not any(name in report.values for report in self.reports):
            known = sorted({key for report in self.reports for key in report.values})
            raise KeyError(f"`History.value(name=...)`: got {name!r}, expected one of {known}, as given to `record`.")
        return np.array([report.values.get(name, np.nan) for report in self.reports])

    def _measured(self) -> tuple[CycleReport, ...]:
        if any(report.dead is None for report in self.reports):
            raise ValueError(
                "`History`: dead neurons were not measured in this run, expected a run with `measure=`, which takes a "
                "loader of inputs."
            )
        return self.reports

    def table(self) -> list[dict[str, float]]:
        """One row per training: cycle, sparsity, counts, recorded values, and the rates where measured."""
        return [report.row() for report in self.reports]

    def log_to(self, recorder: Recorder) -> None:
        """Hand the row of every training to a recorder; the steps are the trainings, from 0.

        While a run goes on, ``recorder(k, step.report.row())`` at the end of a training hands over the k-th row.

        Raises
        ------
        TypeError
            If the recorder cannot be called.
        """
        check_recorder("History.log_to", recorder)
        for k, report in enumerate(self.reports):
            recorder(k, numbers(report.row()))

    def to_frame(self) -> Any:
        """`table` as a ``pandas.DataFrame``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return data_frame("History", self.table(), "`table()` or `to_dict()`")

    def plot(self, ax: Any = None, *, quantity: str = "total", **style: Any) -> Any:
        """Draw rates and recorded values over the share of weights alive; returns the display with its artists.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            As for all displays.
        quantity : str
            Rate that is shown for each site.
        **style
            Passed to the curves.
        """
        from scatter_theory.plot import PruningHistoryDisplay

        return PruningHistoryDisplay(self, quantity=quantity).plot(ax=ax, **style)

    def heat_map(self, quantity: str = "total", ax: Any = None, **style: Any) -> Any:
        """Draw a rate of each site, or the ``"sparsity"`` of each layer, as an image; returns the display."""
        from scatter_theory.plot import PruningHistoryDisplay

        return PruningHistoryDisplay(self, quantity=quantity, kind="heatmap").plot(ax=ax, **style)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary; `from_dict` reads it."""
        return {"settings": dict(self.settings), "reports": [report.to_dict() for report in self.reports]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> History:
        """History from what `to_dict` gave."""
        return cls(dict(data["settings"]), tuple(CycleReport.from_dict(report) for report in data["reports"]))

    def __str__(self) -> str:
        lines = [f"{len(self)} trainings; " + ", ".join(f"{name} {value}" for name, value in self.settings.items())]
        for row in self.table():
            lines.append("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        return "\n".join(lines)

    __repr__ = __str__
