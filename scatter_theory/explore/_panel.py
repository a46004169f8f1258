"""The controls of an explorer as ipywidgets."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scatter_theory.explore._explorer import Explorer
    from scatter_theory.explore._settings import Control


class Panel:
    """Sliders and menus above, the figure, and its code, which a click unfolds.

    A control with nothing to choose is hidden. Moving one changes the settings, and then all other controls follow.

    Parameters
    ----------
    explorer : Explorer
        What is shown.

    Raises
    ------
    ImportError
        If ipywidgets is not installed.
    """

    def __init__(self, explorer: Explorer) -> None:
        try:
            import ipywidgets
        except ImportError as error:
            raise ImportError(
                "`Explorer.panel`: ipywidgets is not installed, expected the package `ipywidgets`; install it with "
                "`pip install ipywidgets`, or draw with `plot()` and set values with `change()`."
            ) from error
        self._kit, self._explorer, self._moving = ipywidgets, explorer, False
        self.controls = {name: self._widget(name, value) for name, value in explorer.settings.values.items()}
        self.image = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%", align_self="flex-start"))
        self.code = ipywidgets.HTML()
        fold = ipywidgets.Accordion(children=[self.code], titles=("The code that makes this figure",))
        rows = ipywidgets.Layout(flex_flow="row wrap", grid_gap="2px 18px")
        self.box = ipywidgets.VBox([ipywidgets.Box(list(self.controls.values()), layout=rows), self.image, fold])
        self.refresh()

    def refresh(self) -> None:
        """Bring controls, figure and code into step with the settings."""
        settings, self._moving = self._explorer.settings, True
        try:
            controls = settings.controls
            for name, widget in self.controls.items():
                self._follow(widget, controls.get(name), settings.values[name])
        finally:
            self._moving = False
        self.image.value = self._explorer.png()
        self.image.alt = repr(self._explorer)
        self.code.value = f"<pre style='line-height: 1.35'>{escape(self._explorer.code)}</pre>"

    def _widget(self, name: str, value: Any) -> Any:
        """A menu for names, a slider for numbers; the choices follow in `refresh`."""
        settings = self._explorer.settings
        menu = isinstance(value, str)
        wide = self._kit.Layout(width="400px")
        kind = self._kit.Dropdown if menu else self._kit.SelectionSlider
        widget = kind(
            options=("", " "), style={"description_width": "190px"}, layout=wide,
            **({} if menu else {"continuous_update": False}),
        )  # fmt: skip
        widget.add_class(f"explore-{settings.name}-{name}".lower())
        widget.observe(lambda change: self._moved(name, change["new"]), names="value")
        return widget

    def _moved(self, name: str, value: Any) -> None:
        if not self._moving:
            self._explorer.change(**{name: value})

    @staticmethod
    def _follow(widget: Any, control: Control | None, value: Any) -> None:
        shown = control is not None and len(control.values) > 1
        widget.layout.display = None if shown else "none"
        if shown:
            options = tuple((v if isinstance(v, str) else f"{v:g}", v) for v in control.values)
            if widget.options != options:
                widget.options = options
            widget.description, widget.value = control.title, value
