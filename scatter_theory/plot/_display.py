"""What all displays share: where they draw, and what they keep."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scatter_theory.plot._style import house_style


class Display(ABC):
    """Numbers that can be drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes drawn on; the first panel where there are several.
    figure_ : matplotlib Figure
        Its figure.
    artists : dict
        The artists by name; lists where there are several. Set by `plot`.
    """

    ax_: Axes
    figure_: Any
    artists: dict[str, Any]

    def __repr__(self) -> str:
        """The class alone: a notebook shows the last line of a cell, and nobody reads thousands of numbers there."""
        return f"<{type(self).__name__}>"

    def plot(self, ax: Axes | None = None, **style: Any) -> Any:
        """Draw, on new axes or into `ax`.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw. A display of several panels takes the place of `ax`, which must be part of a subplot grid.
        **style
            Passed to the main artists: points, curves or images.

        Returns
        -------
        Display
            The same object, with `ax_`, `figure_` and `artists` set.
        """
        with house_style():
            self._draw(self._panels(ax), style)
        return self

    def png(self) -> bytes:
        """The display as a PNG image, drawn beside pyplot, so that no figure stays open."""
        with house_style():
            figure = Figure(figsize=self._figsize())
            rows, columns = self._layout()
            self._keep(figure.subplots(rows, columns, squeeze=False), own=True)
            self._draw(self._axes, {})
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png")
        return buffer.getvalue()

    def _panels(self, ax: Axes | None) -> np.ndarray:
        rows, columns = self._layout()
        if ax is None:
            _, axes = plt.subplots(rows, columns, figsize=self._figsize(), squeeze=False)
        elif rows * columns == 1:
            axes = np.array([[ax]])
        else:
            place = ax.get_subplotspec()
            if place is None:
                raise ValueError(
                    f"`{type(self).__name__}.plot(ax=...)`: the axes are not part of a subplot grid, but "
                    f"{rows} x {columns} panels must take their place. Use `plt.subplots()`, or leave `ax` out."
                )
            ax.set_axis_off()
            axes = place.subgridspec(rows, columns).subplots(squeeze=False)
        return self._keep(axes, own=ax is None)

    def _keep(self, axes: np.ndarray, *, own: bool) -> np.ndarray:
        self._axes, self._own = axes, own
        self.ax_, self.figure_, self.artists = axes[0, 0], axes[0, 0].figure, {}
        return axes

    def _layout(self) -> tuple[int, int]:
        """Rows and columns of panels."""
        return 1, 1

    def _figsize(self) -> tuple[float, float]:
        """Size of a new figure in inches."""
        return 6.4, 4.0

    def _head(self, text: str) -> None:
        """Title over all panels; over the first one where the figure belongs to someone else."""
        if self._own and self._axes.size > 1:
            self.figure_.suptitle(text, fontsize=10)
        else:
            title = self.ax_.get_title()
            self.ax_.set_title(f"{text}\n{title}" if title else text)

    @abstractmethod
    def _draw(self, axes: np.ndarray, style: dict[str, Any]) -> None:
        """Draw on the panels ``(rows, columns)`` and fill `artists`."""


def array(tensor: Any) -> np.ndarray:
    """Numpy copy of a tensor on any device."""
    return np.array(tensor.detach().cpu().numpy())


def hide(axes: np.ndarray) -> None:
    """Switch off panels that stay empty."""
    for ax in axes:
        ax.set_axis_off()
