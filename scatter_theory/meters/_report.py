"""What meters have read out: quantities over sites and steps, reduced on request by a named rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from scatter_theory.meters._pooling import REDUCTIONS, Pooling, Reduction
from scatter_theory.meters._recorder import Recorder, check_recorder, numbers
from scatter_theory.optional import data_frame, xarray


@dataclass(frozen=True, eq=False)
class Report:
    """Quantities of every site at every measured step.

    Parameters
    ----------
    title : str
        Heading of tables and figures.
    sites : tuple of str
        Where it was measured, e.g. the path of a tensor in a model.
    steps : (n_steps,) int array
        Number of each measured step, from 1.
    values : mapping of str to (n_sites, n_steps) arrays
        Float64; NaN where a site has no value at a step.
    poolings : mapping of str to Pooling
        For each quantity how its values combine over sites.
    reduction : str
        Default of `pooled`.
    facts : mapping of str to str, int or float
        Settings of the measurement.
    skipped : mapping of str to mapping of str to int
        Site, reason, and how often nothing could be measured there.

    Raises
    ------
    ValueError
        If an array has another shape, quantities and poolings differ, or the reduction is unknown.
    """

    title: str
    sites: tuple[str, ...]
    steps: np.ndarray
    values: Mapping[str, np.ndarray]
    poolings: Mapping[str, Pooling]
    reduction: Reduction = "pooled"
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    skipped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.sites), len(self.steps))
        for name, array in self.values.items():
            if array.shape != shape:
                raise ValueError(f"`Report(values=...)`: {name!r} has shape {array.shape}, expected {shape}.")
        if set(self.values) != set(self.poolings):
            raise ValueError(
                f"`Report(poolings=...)`: got rules for {sorted(self.poolings)}, expected one for each of "
                f"{sorted(self.values)}."
            )
        if self.reduction not in REDUCTIONS:
            raise ValueError(f"`Report(reduction=...)`: got {self.reduction!r}, expected one of {REDUCTIONS}.")

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of the quantities."""
        return tuple(self.values)

    def per_layer(self, quantity: str) -> np.ndarray:
        """Values of one quantity, shape ``(n_sites, n_steps)``.

        Raises
        ------
        KeyError
            If the report does not have it.
        """
        if quantity not in self.values:
            raise KeyError(f"`Report`: no quantity {quantity!r}, expected one of {self.quantities}.")
        return self.values[quantity]

    def pooled(self, quantity: str, reduction: Reduction | None = None) -> np.ndarray:
        """One value per step over all sites, shape ``(n_steps,)``.

        Parameters
        ----------
        quantity : str
            One of `quantities`.
        reduction : str or None
            ``"sum_layer"``, ``"mean_layer"``, ``"size_weighted"``, or ``"pooled"`` (the value that the union of all
            populations has); None takes the default of the report. Sites without a value are left out: `measured`
            tells how many remain. Use `select` first to keep, say, weights and activations apart.

        Raises
        ------
        KeyError, ValueError
            If the quantity or the reduction is unknown.
        """
        x = self.per_layer(quantity)
        return self.poolings[quantity].over(x, self.values, self.reduction if reduction is None else reduction)

    def measured(self, quantity: str) -> np.ndarray:
        """Number of sites with a value, per step, shape ``(n_steps,)``."""
        return (~np.isnan(self.per_layer(quantity))).sum(0)

    def select(self, pattern: str) -> Report:
        """The report of the sites whose names match a pattern such as ``"*.weight"``.

        Raises
        ------
        ValueError
            If no site matches.
        """
        rows = [k for k, site in enumerate(self.sites) if fnmatchcase(site, pattern)]
        if not rows:
            raise ValueError(f"`Report.select(pattern=...)`: {pattern!r} matches none of the sites {self.sites}.")
        sites = tuple(self.sites[k] for k in rows)
        skipped = {site: reasons for site, reasons in self.skipped.items() if site in sites}
        return replace(self, sites=sites, values={q: v[rows] for q, v in self.values.items()}, skipped=skipped)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of lists and numbers; `from_dict` reads it."""
        return {
            "title": self.title,
            "sites": list(self.sites),
            "steps": self.steps.tolist(),
            "values": {name: array.tolist() for name, array in self.values.items()},
            "poolings": {name: pooling.to_dict() for name, pooling in self.poolings.items()},
            "reduction": self.reduction,
            "facts": dict(self.facts),
            "skipped": {site: dict(reasons) for site, reasons in self.skipped.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """Report from what `to_dict` gave."""
        shape = (len(data["sites"]), len(data["steps"]))
        fields = {
            "sites": tuple(data["sites"]),
            "steps": np.asarray(data["steps"], dtype=np.int64),
            "values": {name: np.asarray(rows, dtype=float).reshape(shape) for name, rows in data["values"].items()},
            "poolings": {name: Pooling(**rule) for name, rule in data["poolings"].items()},
        }
        return cls(**{**data, **fields})

    def to_frame(self) -> Any:
        """Table with one row per site and step, as a ``pandas.DataFrame``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        columns = {name: array.ravel() for name, array in self.values.items()}
        sites, steps = np.repeat(self.sites, len(self.steps)), np.tile(self.steps, len(self.sites))
        return data_frame("Report", {"site": sites, "step": steps, **columns}, "`values` or `to_dict()`")

    def to_xarray(self) -> Any:
        """An ``xarray.Dataset`` of the quantities with axes ``site`` and ``step``; `facts` are its attributes.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        module = xarray("Report", "`values` or `to_dict()`")
        axes = {"site": np.array(self.sites, dtype=object), "step": self.steps}
        columns = {name: (("site", "step"), array) for name, array in self.values.items()}
        return module.Dataset(columns, axes, {"title": self.title, **self.facts})

    def log_to(self, recorder: Recorder) -> None:
        """Hand all steps to a recorder, in order: the quantities pooled over sites, and of every site.

        The names are ``"error_l2"`` for the value that `pooled` gives by default, and ``"error_l2/layer1.weight"`` for
        that of a site. What was not measured at a step is left out of it. `select` sites first to log fewer.

        Raises
        ------
        TypeError
            If the recorder cannot be called.
        """
        check_recorder("Report.log_to", recorder)
        columns = {name: self.pooled(name) for name in self.quantities}
        for name, rows in self.values.items():
            columns |= {f"{name}/{site}": row for site, row in zip(self.sites, rows, strict=True)}
        for k, step in enumerate(self.steps.tolist()):
            recorder(step, numbers({name: column[k] for name, column in columns.items()}))

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the quantities over the steps; returns the display object with its artists."""
        from scatter_theory.plot import IndicatorsDisplay

        return IndicatorsDisplay(self).plot(ax=ax, **style)

    def __str__(self) -> str:
        if not len(self.steps):
            return f"{self.title}: nothing measured at {len(self.sites)} sites"
        width = max(len(name) for name in (*self.sites, self.reduction))
        names = self.quantities
        cells = [max(11, len(name)) for name in names]
        head = "".join(f"  {name:>{c}}" for name, c in zip(names, cells, strict=True))
        lines = [f"{self.title}: {len(self.sites)} sites, {len(self.steps)} steps; at step {self.steps[-1]}:"]
        lines.append(f"{'':{width}}{head}")
        for k, site in enumerate(self.sites):
            row = [f"{self.values[name][k, -1]:.6g}" for name in names]
            lines.append(f"{site:{width}}" + "".join(f"  {x:>{c}}" for x, c in zip(row, cells, strict=True)))
        row = [f"{self.pooled(name)[-1]:.6g}" for name in names]
        lines.append(f"{self.reduction:{width}}" + "".join(f"  {x:>{c}}" for x, c in zip(row, cells, strict=True)))
        missed = sum(sum(reasons.values()) for reasons in self.skipped.values())
        if missed:
            lines.append(f"{missed} measurements were skipped; `skipped` says where and why.")
        return "\n".join(lines)

    __repr__ = __str__
