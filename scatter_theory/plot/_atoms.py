"""Atoms in space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scatter_theory.plot._display import Display, array, hide
from scatter_theory.plot._planes import centred_positions, extent
from scatter_theory.plot._style import COLOURS

_SHOWN = 12


@dataclass(eq=False, kw_only=True, repr=False)
class AtomsDisplay(Display):
    """Atoms in space: real part, imaginary part and modulus (d = 1); real part (d = 2, central slice for d = 3).

    Every panel is cropped to the region that carries the atom; colours are symmetric around zero, per panel.

    Parameters
    ----------
    positions : tuple of (N_i,) arrays
        Positions of each axis, origin in the centre, in units.
    values : (n, *shape) complex array
        The atoms, origin in the centre, per unit volume.
    labels : tuple of str
    unit : str
        Unit of position.
    """

    positions: tuple[np.ndarray, ...]
    values: np.ndarray
    labels: tuple[str, ...]
    unit: str

    @classmethod
    def from_bank(cls, bank: Any, indices: Sequence[int] | None = None) -> AtomsDisplay:
        """Output atom and the atoms with the given indices; by default at most 11, spread evenly over the bank."""
        n = len(bank.atoms)
        if indices is None:
            indices = sorted({round(i) for i in np.linspace(0, n - 1, min(n, _SHOWN - 1))}) if n else ()
        axes = tuple(range(1, bank.grid.ndim + 1))
        spectra = np.stack([array(bank.output), *(array(bank.spectra[i]) for i in indices)])
        values = np.fft.fftshift(np.fft.ifftn(spectra, axes=axes), axes=axes) / bank.grid.cell_volume
        labels = ("output", *(bank.atoms[i].label for i in indices))
        return cls(positions=centred_positions(bank.grid), values=values, labels=labels, unit=bank.grid.unit)

    def _layout(self) -> tuple[int, int]:
        columns = min(4, len(self.labels))
        return math.ceil(len(self.labels) / columns), columns

    def _figsize(self) -> tuple[float, float]:
        rows, columns = self._layout()
        curves = len(self.positions) == 1
        return (0.4 + 2.7 * columns, 0.7 + 1.8 * rows) if curves else (2.6 * columns, 0.3 + 2.6 * rows)

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        panels = axes.ravel()
        draw = self._draw_curves if len(self.positions) == 1 else self._draw_image
        self.artists["atoms"] = [
            draw(ax, value, label, style)
            for ax, value, label in zip(panels[: len(self.labels)], self.values, self.labels, strict=True)
        ]
        hide(panels[len(self.labels) :])
        d = len(self.positions)
        for ax in panels[max(0, len(self.labels) - axes.shape[1]) : len(self.labels)]:
            ax.set_xlabel(f"position [{self.unit}]" if d == 1 else f"axis {d} [{self.unit}]")
        for ax in axes[:, 0]:
            ax.set_ylabel(f"amplitude [1/{self.unit}]" if d == 1 else f"axis {d - 1} [{self.unit}]")
        if d == 1:
            handles = self.artists["atoms"][0]
            if self._own:
                self.figure_.legend(handles=handles, ncols=3, loc="outside upper center")
            else:
                axes[0, 0].legend(handles=handles, fontsize=7)

    def _draw_curves(self, ax: Any, value: np.ndarray, label: str, style: dict[str, Any]) -> list[Any]:
        (keep,) = _carrier(value)
        x, value = self.positions[0][keep], value[keep]
        lines = ax.plot(x, np.abs(value), **{"color": "#9A9A9A", "linewidth": 2.4, "label": "modulus", **style})
        lines += ax.plot(x, value.real, **{"color": COLOURS[0], "label": "real part", **style})
        lines += ax.plot(x, value.imag, **{"color": COLOURS[5], "linestyle": "--", "label": "imaginary part", **style})
        ax.set_title(label)
        ax.margins(x=0)
        return lines

    def _draw_image(self, ax: Any, value: np.ndarray, label: str, style: dict[str, Any]) -> Any:
        positions = self.positions
        if value.ndim == 3:
            value, positions = value[value.shape[0] // 2], positions[1:]
        rows, columns = _carrier(value)
        value = value[rows, columns].real
        peak = np.max(np.abs(value))
        options = {"origin": "lower", "cmap": "RdBu_r", "vmin": -peak, "vmax": peak, **style}
        image = ax.imshow(value, extent=extent((positions[0][rows], positions[1][columns]), (0, 1)), **options)
        ax.set_title(label)
        ax.grid(False)
        return image


def _carrier(value: np.ndarray, share: float = 0.97) -> tuple[slice, ...]:
    """Centred square window, the same number of samples on each axis, that holds `share` of the energy."""
    power = np.abs(value) ** 2
    distance = np.max(
        np.stack(np.meshgrid(*(np.abs(np.arange(n) - n // 2) for n in value.shape), indexing="ij")), axis=0
    )
    shells = np.cumsum(np.bincount(distance.ravel(), weights=power.ravel()))
    half = int(np.searchsorted(shells, share * shells[-1])) + 2
    half = max(8, math.ceil(1.8 * half))
    return tuple(slice(max(0, n // 2 - half), n // 2 + half + 1) for n in value.shape)
