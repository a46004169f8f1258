"""The Littlewood-Paley sum with the frame bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scatter_theory.plot._display import Display, array
from scatter_theory.plot._planes import PLANES, across, axis_names, extent, shifted_frequencies, view
from scatter_theory.plot._style import COLOURS


@dataclass(eq=False, kw_only=True, repr=False)
class LittlewoodPaleyDisplay(Display):
    r"""Littlewood-Paley sum :math:`|\hat\chi|^2 + \sum_\lambda |\hat g_\lambda|^2` for complex and for real maps.

    Curves with A and B as horizontal lines (d = 1); images, or central slices for d = 3, one row for complex and one
    for real maps, with A and B in the titles. Where the two sums agree only one is drawn.

    Parameters
    ----------
    frequencies : tuple of (N_i,) arrays
        Increasing frequencies of each axis, cycles per unit.
    sums : mapping from str to (*shape) array
        The sum for ``"complex maps"`` and its even part for ``"real maps"``, zero frequency in the centre.
    output_power : (*shape) array
        :math:`|\hat\chi|^2`, the share of the output atom.
    unit : str
        Unit of position.
    """

    frequencies: tuple[np.ndarray, ...]
    sums: dict[str, np.ndarray]
    output_power: np.ndarray
    unit: str

    @classmethod
    def from_bank(cls, bank: Any) -> LittlewoodPaleyDisplay:
        """Sums of a `Bank`."""
        full, even = array(bank.littlewood_paley(real=False)), array(bank.littlewood_paley(real=True))
        agree = np.max(np.abs(full - even)) <= 1e-12 * np.max(full)
        sums = {"all maps": full} if agree else {"complex maps": full, "real maps": even}
        return cls(
            frequencies=shifted_frequencies(bank.grid),
            sums={name: np.fft.fftshift(total) for name, total in sums.items()},
            output_power=np.fft.fftshift(array(bank.output_power())),
            unit=bank.grid.unit,
        )

    def _layout(self) -> tuple[int, int]:
        d = len(self.frequencies)
        return (1, 1) if d == 1 else (len(self.sums), 3) if d == 3 else (1, len(self.sums))

    def _figsize(self) -> tuple[float, float]:
        rows, columns = self._layout()
        return (7.2, 3.4) if len(self.frequencies) == 1 else (0.9 + 4.2 * columns, 4.2 * rows)

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        if len(self.frequencies) == 1:
            self._draw_curves(axes[0, 0], style)
        else:
            self._draw_images(axes, style)

    def _draw_curves(self, ax: Any, style: dict[str, Any]) -> None:
        (xi,) = self.frequencies
        self.artists = {"curves": [], "bounds": []}
        for i, (name, total) in enumerate(self.sums.items()):
            colour, dash = COLOURS[i], ("-", "--")[i]
            A, B = total.min(), total.max()
            label = f"sum for {name}: A = {A:.4g}, B = {B:.4g}"
            options = {"color": colour, "linestyle": dash, "label": label, "linewidth": 2.0 - 0.5 * i, **style}
            self.artists["curves"] += ax.plot(xi, total, **options)
            self.artists["bounds"] += [ax.axhline(v, color=colour, linestyle=":", linewidth=1.0) for v in (A, B)]
        self.artists["output"] = ax.fill_between(
            xi, self.output_power, color="#9A9A9A", alpha=0.35, linewidth=0, label="share of the output atom"
        )
        ax.set(xlabel=f"frequency [cycles/{self.unit}]", ylabel="Littlewood-Paley sum")
        ax.margins(x=0.01)
        ax.set_ylim(0, 1.5 * max(total.max() for total in self.sums.values()))
        ax.legend(loc="upper center")

    def _draw_images(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        d = len(self.frequencies)
        top = max(total.max() for total in self.sums.values())
        self.artists["images"] = []
        for row, (name, total) in enumerate(self.sums.items()):
            for column, which in enumerate(PLANES[d]):
                ax = axes[row, column] if d == 3 else axes[0, row]
                options = {"origin": "lower", "cmap": "cividis", "vmin": 0.0, "vmax": top, **style}
                image = ax.imshow(view(total, d, which), extent=extent(self.frequencies, which), **options)
                x, y = axis_names("frequency", f"cycles/{self.unit}", which)
                ax.set(xlabel=x, ylabel=y)
                ax.grid(False)
                bounds = f"sum for {name}: A = {total.min():.4g}, B = {total.max():.4g}"
                ax.set_title(f"frequency 0 on axis {across(which) + 1}" if d == 3 and column else bounds, fontsize=9)
                self.artists["images"].append(image)
        self.artists["colourbar"] = self.figure_.colorbar(
            self.artists["images"][-1], ax=axes.ravel().tolist(), label="Littlewood-Paley sum", shrink=0.8
        )
