"""The surrogate of the sign and its multiplier, for one or several estimators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from scatter_theory.plot._display import Display
from scatter_theory.plot._style import COLOURS, DASHES

_STEPS = 2000

#: Distance from a kink, relative to the half-width, at which a curve is interrupted.
_GAP = 1e-9

#: Multipliers nearer to 0 than this share of the half-width do not set the height of the axes if they are unbounded.
_NEAR = 0.02


@dataclass(eq=False, kw_only=True, repr=False)
class EstimatorsDisplay(Display):
    """Left f with the sign in grey, right f'; dots at the kinks.

    With one estimator, or several with the same limits, the zone of constant f' around 0 and the zones without gradient
    are shaded.

    Parameters
    ----------
    z : tuple of arrays
        Increasing latent values of each estimator; NaN interrupts a curve at a kink.
    surrogate, multiplier : tuple of arrays
        f and f' there.
    kinks : tuple of arrays
        Kinks > 0 of each estimator.
    limits : tuple of (float, float)
        Inner and outer limit of each.
    names : tuple of str
    half_width : float
        Largest |z| that is drawn.
    title : str
    """

    z: tuple[np.ndarray, ...]
    surrogate: tuple[np.ndarray, ...]
    multiplier: tuple[np.ndarray, ...]
    kinks: tuple[np.ndarray, ...]
    limits: tuple[tuple[float, float], ...]
    names: tuple[str, ...]
    half_width: float
    title: str = ""

    @classmethod
    def from_estimators(
        cls, estimators: Any | Iterable[Any] | Mapping[str, Any], *, half_width: float = 2.0
    ) -> EstimatorsDisplay:
        """Display of an `Estimator`, of several, or of a mapping from names to them, on [-half_width, half_width].

        Raises
        ------
        ValueError
            If there is none or one twice, the half-width is not positive, or f depends on the whole tensor.
        """
        from scatter_theory.bnn._names import named as by_name

        named = by_name(estimators, "EstimatorsDisplay.from_estimators")
        if not 0 < half_width < np.inf:
            raise ValueError(f"`from_estimators(half_width=...)`: got {half_width!r}, expected a finite number > 0.")
        for name, e in named.items():
            if not e.pointwise:
                raise ValueError(
                    f"`EstimatorsDisplay.from_estimators(estimators=...)`: f of {name} depends on the whole tensor, so "
                    "that it is no curve; show the estimator it becomes on your tensor, such as "
                    "`ClippedSTE(float(estimator.threshold(z)))`."
                )
        z = tuple(_points(e.kinks, half_width) for e in named.values())
        curves = [_values(e, row) for e, row in zip(named.values(), z, strict=True)]
        return cls(
            z=z,
            surrogate=tuple(f for f, _ in curves),
            multiplier=tuple(slope for _, slope in curves),
            kinks=tuple(np.array([k for k in e.kinks if k < half_width]) for e in named.values()),
            limits=tuple(e.limits for e in named.values()),
            names=tuple(named),
            half_width=half_width,
        )

    def _layout(self) -> tuple[int, int]:
        return 1, 2

    def _figsize(self) -> tuple[float, float]:
        return 9.6, 3.8

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        left, right = axes[0]
        half = self.half_width
        (self.artists["sign"],) = left.plot(
            [-half, 0, 0, half], [-1, -1, 1, 1], color="#B0B0B0", linewidth=1.0, zorder=1
        )
        self.artists |= {"surrogates": [], "multipliers": [], "kinks": []}
        for i, name in enumerate(self.names):
            look = {
                "color": COLOURS[i % len(COLOURS)],
                "linestyle": DASHES[i // len(COLOURS) % len(DASHES)],
                "label": name,
            }
            if len(self.names) <= len(DASHES):
                look["linestyle"] = DASHES[i]
            look |= style
            self.artists["surrogates"] += left.plot(self.z[i], self.surrogate[i], **look)
            self.artists["multipliers"] += right.plot(self.z[i], self.multiplier[i], **look)
            self._dots(left, right, i, look["color"])
        zones = self._zones(left, right)
        left.set(xlabel="latent value z", title="surrogate f (grey: sign)", xlim=(-half, half))
        right.set(xlabel="latent value z", title="multiplier f'", xlim=(-half, half), ylim=self._heights())
        handles, _ = right.get_legend_handles_labels()
        right.legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5))
        self.artists["zones"] = zones
        if self.title:
            self._head(self.title)

    def _dots(self, left: Any, right: Any, i: int, colour: Any) -> None:
        """Both one-sided values at each kink, on both sides of 0."""
        near = 2 * _GAP * self.half_width
        for k in self.kinks[i]:
            rows = np.flatnonzero(np.abs(np.abs(self.z[i]) - k) <= near)
            for ax, values in ((left, self.surrogate), (right, self.multiplier)):
                look = {"linestyle": "none", "marker": "o", "markersize": 3, "color": colour, "zorder": 3}
                self.artists["kinks"] += ax.plot(self.z[i][rows], values[i][rows], **look)

    def _zones(self, left: Any, right: Any) -> list[Any]:
        if len(set(self.limits)) != 1:
            return []
        (inner, outer), half = self.limits[0], self.half_width
        patches = []
        for ax in (left, right):
            if 0 < inner < outer:
                label = f"f' constant: |z| ≤ {inner:g}" if ax is right else None
                patches.append(ax.axvspan(-min(inner, half), min(inner, half), color="#F4E3B8", zorder=0, label=label))
            if outer < half:
                label = f"no gradient: |z| > {outer:g}" if ax is right else None
                patches.append(ax.axvspan(outer, half, color="#E4E4E4", zorder=0, label=label))
                patches.append(ax.axvspan(-half, -outer, color="#E4E4E4", zorder=0))
        return patches

    def _heights(self) -> tuple[float, float]:
        z, values = np.concatenate(self.z), np.concatenate(self.multiplier)
        if not np.isfinite(values[~np.isnan(z)]).all():
            values = values[np.abs(z) >= _NEAR * self.half_width]
        top, low = np.nanmax(values), np.nanmin(values)
        return (1.08 * low if low < 0 else -0.03 * top), 1.08 * top


def _points(kinks: tuple[float, ...], half: float) -> np.ndarray:
    """Equal steps, finer ones towards 0, and at each kink its two sides with a gap between."""
    inner = [k for k in kinks if k < half]
    gap = _GAP * half
    positive = np.concatenate(
        [np.linspace(0, half, _STEPS // 2 + 1)[1:], half * np.geomspace(1e-8, 1e-3, 100)]
        + [[k - gap, k + gap] for k in inner]
    )
    positive = np.unique(positive[~np.isin(positive, inner)])
    breaks = [int(np.searchsorted(positive, k)) for k in inner]
    positive = np.insert(positive, breaks, np.nan)
    return np.concatenate([-positive[::-1], [0.0], positive])


def _values(estimator: Any, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    there = ~np.isnan(z)
    points = torch.from_numpy(z[there])
    f, slope = np.full(z.shape, np.nan), np.full(z.shape, np.nan)
    f[there], slope[there] = estimator.surrogate(points).numpy(), estimator.multiplier(points).numpy()
    return f, slope
