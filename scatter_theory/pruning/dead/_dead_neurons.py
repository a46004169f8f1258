"""How many units of a network do not fire: the result of ``dead_neurons``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from scatter_theory.optional import data_frame
from scatter_theory.pruning.dead._intervals import bootstrap, check_level, never_fired_limit
from scatter_theory.pruning.dead._rates import RATES, SAMPLED, binary_entropy, fraction, ratio, reduced

#: Columns of the printed table.
_SHOWN = ("total", "static", "dynamic", "dead_on_data", "always_on", "silent")


@dataclass(frozen=True, eq=False)
class DeadNeurons:
    r"""Counters of every site, and all rates that follow from them.

    A site is one call of an activation within a forward pass, a unit one entry of its output for a sample, a channel
    all units with the same index in the axis of channels. An entry is a pair of a sample and a unit; it is dead where
    the output is at most the lower flat value (0 for ReLU). NaN is neither dead nor on.

    Parameters
    ----------
    sites : tuple of str
        Names, in the order of the first calls.
    samples : int
        N.
    sizes, channels : (n_sites,) int64 arrays
        Units and channels of each site; -1 units where the number of positions changed from batch to batch.
    counts : mapping of str to (n_sites,) int64 arrays
        Over entries: ``dead``, ``on``, ``high``, ``nan``, ``entries``; over pairs of sample and channel: ``silent``,
        ``pairs``; samples that came by: ``passes``; over units: ``static_zero``, ``static_on``, ``dynamic_dead``,
        ``live`` (these four add to the units, unless a unit gave only NaN), ``dead_on_data``, ``always_on``. Counters
        of units are -1 where they are not known.
    channel_dead, channel_entries, magnitude : mapping of str to (n_channels,) arrays
        Per site and channel: dead entries, entries, and the sum of the moduli of the outputs.
    gradient : mapping of str to (n_channels,) arrays or None
        Sums of the moduli of the gradient of the loss with respect to the outputs.
    sample_dead, sample_silent, sample_entries : (N, n_sites) int32 arrays
        Per sample: dead units, silent channels, and units (0 where the site was not called).
    units : mapping of str to mapping of str to bool arrays, or None
        Per site the flags ``dead_on_data``, ``always_on`` and ``static``, shape ``(n_channels, *positions)``.
    labels : (N,) int64 array or None
        Classes of the samples.
    facts : mapping of str to str, int or float
        Settings of the measurement; ``statistics`` says which statistics batch normalisation used.
    notes : tuple of str
        What the reader has to know, such as undefined rates.
    """

    sites: tuple[str, ...]
    samples: int
    sizes: np.ndarray
    channels: np.ndarray
    counts: Mapping[str, np.ndarray]
    channel_dead: Mapping[str, np.ndarray]
    channel_entries: Mapping[str, np.ndarray]
    magnitude: Mapping[str, np.ndarray]
    gradient: Mapping[str, np.ndarray] | None
    sample_dead: np.ndarray
    sample_silent: np.ndarray
    sample_entries: np.ndarray
    units: Mapping[str, Mapping[str, np.ndarray]] | None = None
    labels: np.ndarray | None = None
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    # --- rates -------------------------------------------------------------------------------------------------------

    def rate(self, name: str, reduction: str | None = None) -> Any:
        """A rate per site, or of the whole network.

        Parameters
        ----------
        name : str
            One of ``scatter_theory.pruning.RATES``, which says what each means.
        reduction : {None, "pooled", "mean_layer", "mean_channel"}
            None for all sites, else one number: the rate of the union of all populations, the mean over the sites, or
            the mean weighted by the numbers of channels.

        Returns
        -------
        (n_sites,) float64 array or float
            NaN where it is undefined or not known.

        Raises
        ------
        KeyError, ValueError
            For an unknown name or reduction.
        """
        part, whole = fraction(name, self.counts, self.sizes)
        return ratio(part, whole) if reduction is None else reduced(part, whole, self.channels, reduction)

    def per_channel(self, site: str) -> np.ndarray:
        """Share of dead entries of each channel, ``(n_channels,)``: the average percentage of zeros (Hu et al. 2016).

        Raises
        ------
        KeyError
            For an unknown site.
        """
        return self.channel_dead[self._known(site)] / self.channel_entries[site]

    def interval(self, name: str = "total", level: float = 0.95, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Bootstrap interval of a rate at each site, over samples.

        Parameters
        ----------
        name : {"total", "dynamic", "dynamic_conditional", "silent"}
            The rates that are means over samples. What is said of units over all samples has none.
        level : float
            Coverage.
        seed : int
            Of the draws.

        Returns
        -------
        low, high : (n_sites,) float64 arrays

        Raises
        ------
        ValueError
            For another name or level, or with a single sample.
        """
        if name not in SAMPLED:
            raise ValueError(
                f"`interval(name=...)`: got {name!r}, expected one of {SAMPLED}: the others are no means over samples."
            )
        check_level("interval", level)
        if self.samples < 2:
            raise ValueError("`interval(...)`: got 1 sample, expected at least 2; one sample has no spread.")
        if name == "silent":
            return bootstrap(self.sample_silent, (self.sample_entries > 0) * self.channels, level, seed)
        part, whole = self.sample_dead.astype(float), self.sample_entries.astype(float)
        if name != "total":
            static = np.where(self.counts["static_zero"] < 0, np.nan, self.counts["static_zero"]) * (whole > 0)
            part, whole = part - static, whole if name == "dynamic" else whole - static
        return bootstrap(part, whole, level, seed)

    def by_class(self, name: str = "total") -> dict[int, np.ndarray]:
        """``"total"`` or ``"silent"`` at each site for the samples of each class, ``(n_sites,)`` arrays by label.

        Raises
        ------
        ValueError
            For another name, or if no labels were kept.
        """
        if self.labels is None:
            raise ValueError("`by_class()`: no labels were kept; measure with `dead_neurons(..., labels=True)`.")
        if name not in ("total", "silent"):
            raise ValueError(f"`by_class(name=...)`: got {name!r}, expected 'total' or 'silent'.")
        part = self.sample_dead if name == "total" else self.sample_silent
        whole = self.sample_entries if name == "total" else (self.sample_entries > 0) * self.channels
        rows = {int(label): self.labels == label for label in np.unique(self.labels)}
        return {label: ratio(part[rows].sum(0), whole[rows].sum(0)) for label, rows in rows.items()}

    # --- other indicators --------------------------------------------------------------------------------------------

    def dormancy(self, site: str) -> np.ndarray:
        r"""Scores of Sokar et al. (2023) for each channel: its mean modulus over the mean of those of the site.

        .. math:: s_i = E|h_i| \Big/ \frac{1}{H} \sum_k E|h_k|

        with means over samples and positions. A channel is dormant where :math:`s_i \leq \tau`. All are 0 where the
        whole site is.
        """
        return _scores(self.magnitude[self._known(site)] / self.channel_entries[site])

    def gradient_dormancy(self, site: str) -> np.ndarray:
        """The same with the gradient of the loss with respect to the outputs in place of the outputs.

        Raises
        ------
        ValueError
            If no loss was given.
        """
        if self.gradient is None:
            raise ValueError("`gradient_dormancy()`: no gradients were measured; give `dead_neurons(..., loss=...)`.")
        return _scores(self.gradient[self._known(site)] / self.channel_entries[site])

    def dormant(self, tau: float = 0.0) -> np.ndarray:
        """Share of the channels of each site with a score of `dormancy` of at most tau, ``(n_sites,)``."""
        return np.array([(self.dormancy(site) <= tau).mean() for site in self.sites])

    def entropy_bound(self) -> dict[str, np.ndarray]:
        r"""Upper bounds in bits of the entropy of the pattern of dead and live units of each site.

        With :math:`h_2` the binary entropy, p the dead rates of units or channels, T and D the total and dynamic rate,
        S the static one and n the units:

        .. math:: H \leq \sum_j h_2(p_j), \qquad H \leq n (1 - S)\, h_2\big(D / (1 - S)\big), \qquad H \leq n\, h_2(T).

        Returns
        -------
        dict of (n_sites,) float64 arrays
            ``channels``: the first one, with the rate of its channel for each unit; ``survivors``: the second;
            ``layer``: the third, which is the largest. They are 0 for a layer that is linear on the data (T = 0) as
            well as for a dead one (T = 1).
        """
        per_channel = []
        for site, size, channels in zip(self.sites, self.sizes, self.channels, strict=True):
            per_channel.append(size / channels * binary_entropy(self.per_channel(site)).sum() if size > 0 else np.nan)
        size = np.where(self.sizes > 0, self.sizes, np.nan)
        static, conditional = self.rate("static"), self.rate("dynamic_conditional")
        survivors = size * (1 - static) * binary_entropy(conditional)
        survivors = np.where(static == 1, 0.0, survivors)
        return {
            "channels": np.array(per_channel),
            "survivors": survivors,
            "layer": size * binary_entropy(self.rate("total")),
        }

    @property
    def never_fired_limit(self) -> float:
        """With 95 % confidence, what fired on none of the samples fires with less than this probability.

        For the site that the fewest samples came by; at the others the limit is lower.
        """
        return never_fired_limit(int(self.counts["passes"].min()))

    # --- output ------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary of lists and numbers; `from_dict` reads it."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DeadNeurons:
        """Result from what `to_dict` gave."""
        n = len(data["sites"])
        table = ("sample_dead", "sample_silent", "sample_entries")
        read: dict[str, Any] = {name: np.asarray(data[name], dtype=np.int32).reshape(-1, n) for name in table}
        read |= {name: np.asarray(data[name], dtype=np.int64) for name in ("sizes", "channels")}
        for name, dtype in (("counts", int), ("channel_dead", int), ("channel_entries", int), ("magnitude", float)):
            read[name] = _arrays(data[name], dtype)
        read["gradient"] = None if data["gradient"] is None else _arrays(data["gradient"], float)
        units, labels = data["units"], data["labels"]
        read["units"] = None if units is None else {site: _arrays(flags, bool) for site, flags in units.items()}
        read["labels"] = None if labels is None else np.asarray(labels, dtype=np.int64)
        return cls(**{**data, **read, "sites": tuple(data["sites"]), "notes": tuple(data["notes"])})

    def to_frame(self) -> Any:
        """Table with one row per site and one column per rate, as a ``pandas.DataFrame``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        columns = {name: self.rate(name) for name in RATES}
        return data_frame(
            "DeadNeurons",
            {"site": self.sites, "units": self.sizes, "channels": self.channels, **columns},
            "`rate(...)` or `to_dict()`",
        )

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Draw the rates of all sites; returns the display object with its artists."""
        from scatter_theory.plot import DeadNeuronsDisplay

        return DeadNeuronsDisplay(self).plot(ax=ax, **style)

    def __str__(self) -> str:
        names = (*self.sites, "pooled")
        width = max(len(name) for name in names)
        lines = [f"dead neurons: {len(self.sites)} sites, {self.samples} samples, {self.facts.get('statistics', '')}"]
        lines.append(f"{'':{width}}{'units':>10}" + "".join(f"  {name:>12}" for name in _SHOWN))
        columns = [[*self.rate(name), self.rate(name, "pooled")] for name in _SHOWN]
        sizes = [str(size) if size >= 0 else "varies" for size in self.sizes]
        sizes.append(str(self.sizes.sum()) if (self.sizes >= 0).all() else "varies")
        for k, name in enumerate(names):
            lines.append(f"{name:{width}}{sizes[k]:>10}" + "".join(f"  {column[k]:12.6f}" for column in columns))
        least, limit = self.counts["passes"].min(), self.never_fired_limit
        lines.append(
            f"What fired on none of {least} samples fires with probability below {limit:.3g} "
            "(95 % confidence, independent samples)."
        )
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__

    def _known(self, site: str) -> str:
        if site not in self.sites:
            raise KeyError(f"`DeadNeurons`: no site {site!r}, expected one of {self.sites}.")
        return site


def _scores(mean: np.ndarray) -> np.ndarray:
    """Each number over the mean of all, 0 where all are 0."""
    return mean / mean.mean() if mean.any() else np.zeros_like(mean)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _arrays(data: Mapping[str, Any], dtype: type) -> dict[str, np.ndarray]:
    return {name: np.asarray(values, dtype=np.int64 if dtype is int else dtype) for name, values in data.items()}
