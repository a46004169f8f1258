"""Features, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from scatter_theory.plot._display import Display, array, hide
from scatter_theory.plot._planes import extent
from scatter_theory.plot._style import COLOURS

_SHOWN = 6


@dataclass(eq=False, kw_only=True, repr=False)
class FeaturesDisplay(Display):
    """Features of one signal: path against position (d = 1); the strongest paths as images (d = 2, 3: central slices).

    Complex features are shown by their modulus. Positions are those of each layer's own grid; colours are shared within
    a layer and diverge from zero where features have both signs.

    Parameters
    ----------
    values : tuple of (n_paths, *shape) arrays
        Features of each layer.
    positions : tuple of tuples of (N_i,) arrays
        Positions of each layer's grid, in units.
    layers : tuple of int
        Numbers of the layers.
    labels : tuple of tuples of str
        Names of the paths.
    unit : str
        Unit of position.
    """

    values: tuple[np.ndarray, ...]
    positions: tuple[tuple[np.ndarray, ...], ...]
    layers: tuple[int, ...]
    labels: tuple[tuple[str, ...], ...]
    unit: str

    @classmethod
    def from_features(cls, features: Any, signal: int = 0) -> FeaturesDisplay:
        """Features of one signal of the batch, counted over all batch axes."""
        values, positions, labels = [], [], []
        for layer in features.layers:
            one = array(layer.values)
            one = one.reshape(-1, *one.shape[-layer.grid.ndim - 1 :])[signal]
            values.append(np.abs(one) if np.iscomplexobj(one) else one)
            positions.append(tuple(np.arange(n) * h for n, h in zip(layer.grid.shape, layer.grid.spacing, strict=True)))
            labels.append(tuple(str(path) for path in layer.paths))
        return cls(
            values=tuple(values),
            positions=tuple(positions),
            layers=tuple(layer.n for layer in features.layers),
            labels=tuple(labels),
            unit=features.layers[0].grid.unit,
        )

    @property
    def _d(self) -> int:
        return len(self.positions[0])

    def _layout(self) -> tuple[int, int]:
        widest = max(value.shape[0] for value in self.values)
        return len(self.layers), 1 if self._d == 1 else min(_SHOWN, widest)

    def _figsize(self) -> tuple[float, float]:
        rows, columns = self._layout()
        return (6.8, 0.4 + 1.9 * rows) if self._d == 1 else (0.4 + 1.75 * columns, 0.3 + 1.95 * rows)

    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        draw = self._draw_lines if self._d == 1 else self._draw_images
        self.artists["layers"] = [draw(axes[i], i, style) for i in range(len(self.layers))]

    def _draw_lines(self, row: np.ndarray, i: int, style: dict[str, Any]) -> Any:
        (ax,) = row
        value, (x,) = self.values[i], self.positions[i]
        count = value.shape[0]
        ax.set_xlabel(f"position [{self.unit}]")
        if count == 1:
            ax.set(title=f"layer {self.layers[i]}: {count} path", ylabel="feature")
            ax.margins(x=0)
            return ax.plot(x, value[0], **{"color": COLOURS[0], **style})[0]
        edges = (x[0], x[-1] + (x[1] - x[0] if x.size > 1 else 1.0), -0.5, count - 0.5)
        options = {"origin": "lower", "aspect": "auto", "cmap": "viridis", **_range(value), **style}
        image = ax.imshow(value, extent=edges, **options)
        ax.set(title=f"layer {self.layers[i]}: {count} paths", ylabel="path")
        ax.yaxis.get_major_locator().set_params(integer=True)
        ax.grid(False)
        self.figure_.colorbar(image, ax=ax, label="feature", pad=0.01)
        return image

    def _draw_images(self, row: np.ndarray, i: int, style: dict[str, Any]) -> list[Any]:
        value, positions = self.values[i], self.positions[i]
        strongest = np.argsort(-np.sum(value.reshape(value.shape[0], -1) ** 2, axis=1), kind="stable")[: row.size]
        if value.ndim == 4:
            value, positions = value[:, value.shape[1] // 2], positions[1:]
        images = []
        options = {"cmap": "viridis", **_range(value[strongest]), **style}
        for ax, index in zip(row, strongest, strict=False):
            left, right, top, bottom = extent(positions, (0, 1))
            images.append(ax.imshow(value[index], extent=(left, right, bottom, top), **options))
            ax.set_title(self.labels[i][index], fontsize=8)
            ax.grid(False)
            ax.tick_params(labelsize=7)
        count = value.shape[0]
        shown = "1 path" if count == 1 else f"{len(images)} of {count} paths"
        row[0].set_ylabel(f"layer {self.layers[i]}: {shown}\nposition [{self.unit}]", fontsize=8)
        self.figure_.colorbar(images[-1], ax=list(row), pad=0.01).ax.tick_params(labelsize=7)
        hide(row[len(images) :])
        return images


def _range(value: np.ndarray) -> dict[str, Any]:
    """Colour range: from the minimum or 0 for features of one sign, symmetric and diverging for features of both."""
    low, high = float(min(np.min(value), 0.0)), float(max(np.max(value), 0.0))
    top = max(-low, high)
    if not (math.isfinite(top) and top > 0):
        return {"vmin": 0.0, "vmax": 1.0}
    if -low > 0.1 * top and high > 0.1 * top:
        return {"vmin": -top, "vmax": top, "cmap": "RdBu_r"}
    return {"vmin": low, "vmax": high}
