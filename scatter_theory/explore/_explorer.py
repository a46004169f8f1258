"""A figure whose settings can be moved."""

from __future__ import annotations

import base64
from functools import lru_cache
from html import escape
from importlib.util import find_spec
from typing import Any

from scatter_theory.explore._settings import Settings

#: Figures that are kept, so that a slider that comes back to a value redraws at once.
_KEPT = 128

_MISSING = "sliders need ipywidgets: pip install 'scatter-theory[notebook]'"


class Explorer:
    """A figure with controls; made by `frame`, `translation`, `deformation` and `estimators`.

    As the last line of a cell it shows a panel of sliders and the figure. Without ipywidgets it shows the figure for
    its settings and the code that makes it; outside a notebook, call `plot` or `png`.

    Parameters
    ----------
    settings : frozen dataclass
        Values of all controls.

    Attributes
    ----------
    settings : frozen dataclass
        The present values; `change` replaces them.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._panel: Any = None

    def change(self, **values: Any) -> None:
        """Set controls, one after another, as a hand on the sliders would; a panel that is shown follows.

        Settings that another one makes impossible take their default: curvelets need two axes.

        Parameters
        ----------
        **values
            By the names that the function takes.

        Raises
        ------
        TypeError
            If there is no such setting.
        ValueError
            If a value cannot be chosen.
        """
        settings = self.settings
        for name, value in values.items():
            settings = settings.changed(name, value)
        self.settings = settings
        if self._panel is not None:
            self._panel.refresh()

    @property
    def code(self) -> str:
        """Python lines that make this figure without sliders; ``display`` is the drawn display."""
        return self.settings.code()

    def plot(self, ax: Any = None, **style: Any) -> Any:
        """Compute and draw the figure.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; default: a new figure.
        **style
            Passed to the main artists.

        Returns
        -------
        Display
            With its numbers, and the artists in `artists`.
        """
        return self.settings.display().plot(ax=ax, **style)

    def png(self) -> bytes:
        """The figure as a PNG image; the last 128 are kept."""
        return _png(self.settings)

    @property
    def panel(self) -> Any:
        """The ``ipywidgets.VBox`` of sliders, figure and code; one for each explorer.

        Raises
        ------
        ImportError
            If ipywidgets is not installed.
        """
        if self._panel is None:
            from scatter_theory.explore._panel import Panel

            self._panel = Panel(self)
        return self._panel.box

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.settings.values.items() if value is not None)
        return f"explore.{self.settings.name}({values})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Panel, picture and text: the front end takes the richest that it can show."""
        png = base64.b64encode(self.png()).decode()
        bundle: dict[str, Any] = {"text/plain": f"{self!r}\n\n{self.code}", "image/png": png}
        if find_spec("ipywidgets") is not None:
            return {**bundle, **self.panel._repr_mimebundle_()}
        image = f'<img alt="{escape(repr(self))}" src="data:image/png;base64,{png}">'
        bundle["text/html"] = f"<div>{image}<pre>{escape(self.code)}</pre><p>{escape(_MISSING)}</p></div>"
        bundle["text/plain"] += f"\n\n{_MISSING}"
        return bundle


@lru_cache(maxsize=_KEPT)
def _png(settings: Settings) -> bytes:
    return settings.display().png()
