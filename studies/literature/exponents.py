r"""Part e: the power of their size with which deformations change signals and features of three classes.

Two layers of wavelets with the modulus on a line of length 1, so that K of cartoon and Lipschitz functions bounds slope
and height in the same unit. Signals of a class and displacements are searched together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import scatter_theory as st
from scatter_theory import signals, verify
from studies.literature.jobs import Found, Job
from studies.shared.summary import table_lines


@dataclass(frozen=True)
class Case:
    """A class, and the sizes at which its exponent shows.

    Parameters
    ----------
    signals : callable
        Makes the class for a number of samples.
    sizes : (float, float)
        Smallest and largest size, in samples. Jumps are seen by displacements of several samples only; band-limited
        signals of period P change in proportion to displacements below P.
    """

    signals: Callable[[int], signals.SignalClass]
    sizes: tuple[float, float]


CASES = {
    "band-limited": Case(lambda n: signals.BandLimited(n / 10), (1e-3, 0.5)),
    "Lipschitz": Case(lambda n: signals.Lipschitz(1.0), (1e-2, 4)),
    "cartoon": Case(lambda n: signals.Cartoon(1.0), (4, 128)),
}


@dataclass(frozen=True)
class Size:
    """Samples, sizes of displacements, and candidates of the search."""

    samples: int
    sizes: int
    random: int
    structured: int
    seed: int = 0


FULL = Size(samples=2048, sizes=8, random=32, structured=64)
QUICK = Size(samples=512, sizes=3, random=2, structured=4)


@dataclass(frozen=True)
class Row:
    """The exponent of one output.

    Parameters
    ----------
    signals, output : str
        Class; ``"signal"``, ``"all layers"`` or a layer.
    promised, measured, low, high : float
        Exponent of the theorem; slope on logarithmic axes with the ends of its interval.
    worst : float
        Largest measured change over its bound, of all outputs.
    outcome : str
        Of the bound, which has its constant and not only its exponent.
    """

    signals: str
    output: str
    promised: float
    measured: float
    low: float
    high: float
    worst: float
    outcome: str


def measure(name: str, size: Size) -> dict[str, Any]:
    """Slopes, and the points that they come from."""
    n, case = size.samples, CASES[name]
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=4))] * 2, st.Grid.line(n, length=1.0))
    sizes = (np.geomspace(*case.sizes, size.sizes) / n).tolist()
    effort = verify.Effort(size.random, size.structured, 0, 0)
    rate = verify.deformation_rate(phi, case.signals(n), sup_tau=sizes, effort=effort, generator=size.seed)
    check = rate.check
    rows = [
        asdict(Row(name, output, rate.promised, f.exponent, *f.interval, check.worst, check.outcome.name))
        for output, f in rate.fits.items()
    ]
    points = zip(check.series, check.x, check.measured, check.bound, strict=True)
    return {"rows": rows, "points": [[s, float(x), float(m), float(b)] for s, x, m, b in points]}


def jobs(size: Size) -> list[Job]:
    """One per class."""
    return [
        Job("e", name, {"class": name, "range": case.sizes, **asdict(size)}, partial(measure, name, size))
        for name, case in CASES.items()
    ]


def rows(found: Found) -> list[Row]:
    """All outputs of all classes."""
    return [Row(**row) for result in found.values() for row in result["rows"]]


def tables(found: Found) -> dict[str, list[Any]]:
    """Tables by the names of their files."""
    return {"e_exponents": rows(found)}


def markdown(found: Found) -> str:
    """Slopes of signals and features."""
    head = ["signals", "output", "theorem", "slope", "interval", "largest share of the bound", "outcome"]
    body = [
        [r.signals, r.output, f"{r.promised:g}", f"{r.measured:.3f}", f"[{r.low:.3f}, {r.high:.3f}]", f"{r.worst:.4f}",
         r.outcome]
        for r in rows(found)
    ]  # fmt: skip
    return "\n".join(table_lines(head, body)) + "\n"


def draw(found: Found, path: Path) -> None:
    """Changes of signals and features with their bounds, one panel per class."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    from scatter_theory.plot import house_style

    with house_style():
        figure, axes = plt.subplots(1, len(found), figsize=(12, 3.8), layout="constrained")
        for ax, (name, result) in zip(axes, found.items(), strict=True):
            for output, color, marker in (("signal", "C0", "o"), ("all layers", "C1", "s")):
                x, measured, bound = zip(*(p[1:] for p in result["points"] if p[0] == output), strict=True)
                ax.plot(x, measured, marker, color=color, label=f"{_NAMES[output]}, worst found")
            # The network's constant is 1, so that signals and features have one bound.
            ax.plot(x, bound, "k--", label="bound")
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.xaxis.set_minor_formatter(NullFormatter())
            ax.set_xlabel(r"$\sup|\tau|$")
            ax.set_title(f"{name}: exponent {result['rows'][0]['promised']:g}")
        axes[0].set_ylabel("change")
        axes[0].legend(fontsize=8)
        figure.savefig(path, dpi=110)
        plt.close(figure)


_NAMES = {"signal": "signal", "all layers": "features"}
