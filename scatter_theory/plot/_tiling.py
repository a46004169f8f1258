"""How the atoms of a bank divide the frequency domain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from scatter_theory.plot._display import Display, array
from scatter_theory.plot._planes import PLANES, across, axis_names, extent, shifted_frequencies, view
from scatter_theory.plot._style import DASHES, hues

_PIXELS = 400


@dataclass(eq=False, kw_only=True, repr=False)
class TilingDisplay(Display):
    r"""Frequency tiling: :math:`|\hat g_\lambda|^2` as curves (d = 1) or as hues (d = 2, central slices for d = 3).

    In the images each pixel mixes the hues of its atoms with the weights :math:`|\hat g_\lambda|^2`, and the
    Littlewood-Paley sum is the brightness, so that gaps are dark. Dark lines separate the regions of the strongest
    atoms; the output atom is white.

    Parameters
    ----------
    frequencies : tuple of (N_i,) arrays
        Increasing frequencies of each axis, cycles per unit.
    powers : (1 + n_atoms, *shape) array
        :math:`|\hat\chi|^2` first, zero frequency in the centre.
    labels : tuple of str
        One per row of `powers`.
    unit : str
        Unit of position.
    title : str
    """

    frequencies: tuple[np.ndarray, ...]
    powers: np.ndarray
    labels: tuple[str, ...]
    unit: str
    title: str = ""

    @classmethod
    def from_bank(cls, bank: Any) -> TilingDisplay:
        """Tiling of a `Bank`."""
        spectra = np.concatenate([array(bank.output)[None], array(bank.spectra)])
        d = bank.grid.ndim
        A, B = bank.bounds()
        maps = "real" if bank.kind == "half" else "all"
        return cls(
            frequencies=shifted_frequencies(bank.grid),
            powers=np.fft.fftshift(np.abs(spectra) ** 2, axes=tuple(range(-d, 0))),
            labels=("output", *(atom.label for atom in bank.atoms)),
            unit=bank.grid.unit,
            title=f"{len(bank.atoms)} atoms and the output atom, A = {A:.4g}, B = {B:.4g} for {maps} maps",
        )

    def _layout(self) -> tuple[int, int]:
        d = len(self.frequencies)
        return (1, 1) if d == 1 else (1, len(PLANES[d]))

    def _figsize(self) -> tuple[float, float]:
        return {1: (7.2, 3.4), 2: (5.4, 5.2), 3: (10.5, 4.0)}[len(self.frequencies)]

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        d = len(self.frequencies)
        if d == 1:
            self._draw_curves(axes[0, 0], style)
        else:
            self.artists["images"] = [
                self._draw_plane(ax, which, style) for ax, which in zip(axes[0], PLANES[d], strict=True)
            ]
        self._head(self.title)

    def _draw_curves(self, ax: Any, style: dict[str, Any]) -> None:
        (xi,) = self.frequencies
        colours = hues(len(self.labels) - 1, lightness=(0.30, 0.48))
        curves = ax.plot(xi, self.powers[0], **{"color": "black", "linestyle": ":", "label": "output", **style})
        for i, power in enumerate(self.powers[1:]):
            options = {"color": colours[i], "linestyle": DASHES[i % 2], "label": self.labels[i + 1], **style}
            curves += ax.plot(xi, power, **options)
            ax.fill_between(xi, power, color=options["color"], alpha=0.12, linewidth=0)
        self.artists["curves"] = curves
        ax.set(xlabel=f"frequency [cycles/{self.unit}]", ylabel="squared modulus of the spectrum")
        ax.margins(x=0.01)
        ax.set_ylim(bottom=0)
        if len(curves) <= 12:
            ax.legend(ncols=2, loc="center left", bbox_to_anchor=(1.0, 0.5))

    def _draw_plane(self, ax: Any, which: tuple[int, int], style: dict[str, Any]) -> Any:
        powers = view(self.powers, len(self.frequencies), which)
        image = ax.imshow(_mixture(powers), **{"origin": "lower", "extent": extent(self.frequencies, which), **style})
        x, y = axis_names("frequency", f"cycles/{self.unit}", which)
        ax.set(xlabel=x, ylabel=y)
        if len(self.frequencies) == 3:
            ax.set_title(f"frequency 0 on axis {across(which) + 1}")
        ax.grid(False)
        return image


def _mixture(powers: np.ndarray) -> np.ndarray:
    """RGB image of atoms ``(n, rows, columns)``; pixels are repeated so that the lines between atoms stay thin."""
    colours = np.concatenate([np.ones((1, 3)), hues(powers.shape[0] - 1)])
    total = powers.sum(0)
    share = powers / np.where(total > 0, total, 1.0)
    image = np.tensordot(np.moveaxis(share, 0, -1), colours, axes=1)
    image *= np.sqrt(total / total.max())[..., None]
    fine = math.ceil(_PIXELS / max(total.shape))
    image, strongest = (np.repeat(np.repeat(a, fine, 0), fine, 1) for a in (image, powers.argmax(0)))
    edge = np.zeros(strongest.shape, dtype=bool)
    edge[1:, :] |= strongest[1:, :] != strongest[:-1, :]
    edge[:, 1:] |= strongest[:, 1:] != strongest[:, :-1]
    image[edge] *= 0.45
    return np.clip(image, 0.0, 1.0)
