"""A gradient estimator of binary networks: its curves, estimating error and stability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from scatter_theory import bnn, plot
from scatter_theory.explore._explorer import Explorer
from scatter_theory.explore._settings import Control, Settings, call

#: Numbers of each estimator.
_ESTIMATORS: dict[str, tuple[str, ...]] = {
    "ReSTE": ("o", "convention"),
    "Pareto": ("a",),
    "EDE": ("t", "k"),
    "RBNN": ("t", "k"),
    "DSQ": ("k",),
    "SwishSign": ("beta",),
    "ApproxSign": (),
    "ClippedSTE": ("c",),
    "IdentitySTE": (),
}
_NUMBERS = {
    "o": Control("power o", (1.0, 1.5, 2.0, 3.0, 5.0, 10.0), 3.0),
    "convention": Control("surrogate", ("power", "figure", "antiderivative"), "power"),
    "a": Control("sharpness a", (1.0, 2.0, 3.0, 5.0, 8.0), 5.0),
    "t": Control("steepness t", (0.5, 1.0, 2.0, 5.0, 10.0), 2.0),
    "k": Control("height k", (0.5, 1.0, 2.0, 5.0), 1.0),
    "beta": Control("steepness β", (1.0, 2.0, 5.0, 10.0), 5.0),
    "c": Control("clipping c", (0.5, 1.0, 1.5, 2.0), 1.0),
}
#: The k of DSQ, which is no height.
_STEEPNESS = Control("steepness k", (0.5, 1.0, 2.0, 5.0, 10.0), 2.0)


@dataclass(frozen=True)
class EstimatorSettings(Settings):
    """Settings of `estimators`."""

    name: ClassVar[str] = "estimators"
    estimator: Any = None
    o: Any = None
    convention: Any = None
    a: Any = None
    t: Any = None
    k: Any = None
    beta: Any = None
    c: Any = None
    density: Any = None
    scale: Any = None

    @classmethod
    def control(cls, field: str, before: Mapping[str, Any]) -> Control | None:
        """The control of a field beside the values of those before it."""
        if field == "estimator":
            return Control("estimator", tuple(_ESTIMATORS), "ReSTE")
        if field == "density":
            return Control("latent values", ("normal", "uniform"), "normal")
        if field == "scale":
            return Control("their scale", (0.25, 0.5, 1.0, 1.5, 2.0), 1.0)
        if field not in _ESTIMATORS[before["estimator"]]:
            return None
        return _STEEPNESS if field == "k" and before["estimator"] == "DSQ" else _NUMBERS[field]

    def display(self) -> plot.EstimatorsDisplay:
        """Curves of f and f', with error and stability in the title."""
        estimator = getattr(bnn, self.estimator)(**self._arguments())
        found = bnn.population(estimator, self.density, self.scale)
        display = plot.EstimatorsDisplay.from_estimators(estimator)
        display.title = _title(found)
        return display

    def code(self) -> str:
        """Lines that draw the same."""
        return f"""\
import scatter_theory as st
from scatter_theory import bnn

estimator = {call(f"bnn.{self.estimator}", self._arguments())}
found = bnn.population(estimator, {self.density!r}, {self.scale!r})
display = st.plot.EstimatorsDisplay.from_estimators(estimator)
display.title = (
    f"{{found.density.name}}: estimating error {{found.error:.4g}}, stability var |f'| = {{found.variance:.4g}}, "
    f"CV² = {{found.cv2:.4g}}"
)
display.plot()"""

    def _arguments(self) -> dict[str, Any]:
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if f.name in _NUMBERS}
        return {name: value for name, value in numbers.items() if value is not None}


def _title(found: bnn.Population) -> str:
    return (
        f"{found.density.name}: estimating error {found.error:.4g}, stability var |f'| = {found.variance:.4g}, "
        f"CV² = {found.cv2:.4g}"
    )


def estimators(
    estimator: str = "ReSTE",
    *,
    o: float | None = None,
    convention: str | None = None,
    a: float | None = None,
    t: float | None = None,
    k: float | None = None,
    beta: float | None = None,
    c: float | None = None,
    density: str = "normal",
    scale: float | None = None,
) -> Explorer:
    """Explore a gradient estimator: surrogate f, multiplier f', estimating error and gradient stability.

    Error and stability are expected values over the distribution of latent values, as `bnn.population` computes them.

    Parameters
    ----------
    estimator : str
        Class of `bnn`: ReSTE, Pareto, EDE, RBNN, DSQ, SwishSign, ApproxSign, ClippedSTE, IdentitySTE.
    o : {1, 1.5, 2, 3, 5, 10}, optional
        Power of ReSTE.
    convention : {"power", "figure", "antiderivative"}, optional
        Surrogate of ReSTE.
    a : {1, 2, 3, 5, 8}, optional
        Sharpness of Pareto.
    t : {0.5, 1, 2, 5, 10}, optional
        Steepness of EDE and RBNN, per unit of the latent values.
    k : {0.5, 1, 2, 5}, optional
        Height of EDE and RBNN, steepness of DSQ (there also 10).
    beta : {1, 2, 5, 10}, optional
        Steepness of SwishSign.
    c : {0.5, 1, 1.5, 2}, optional
        Limit of ClippedSTE.
    density : {"normal", "uniform"}
        Distribution of the latent values.
    scale : {0.25, 0.5, 1, 1.5, 2}, optional
        Its standard deviation, or its upper end.

    Returns
    -------
    Explorer
        Sliders in a notebook, otherwise a figure.

    Raises
    ------
    ValueError
        If a value cannot be chosen, or the estimator has no such setting; from the settings.
    """
    return Explorer(EstimatorSettings(estimator, o, convention, a, t, k, beta, c, density, scale))
