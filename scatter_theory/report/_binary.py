"""The section on binary networks: where gradient estimators lie between a small error and a stable gradient."""

from __future__ import annotations

import io
from pathlib import Path

from scatter_theory import bnn
from scatter_theory.report._figures import write
from scatter_theory.report._tables import Rows

INTRODUCTION = (
    "<p>A binary network trains latent values z with the derivative of a surrogate f of their sign. For z uniform on "
    "(-1, 1) and the upstream gradient 1: the mean squared error of f, and the variance of f'. Circles are expected "
    "values, crosses the same measured on drawn values through the operation that networks use. The curve is proven: "
    "no f that is the integral of f' &ge; 0 and reaches 1 at 1 lies below it. This compares estimators on one "
    "distribution, not trained networks.</p>"
)


def section(out: Path) -> tuple[Path, tuple[list[str], Rows]]:
    """Path of the figure, and the table."""
    from matplotlib.figure import Figure

    found = bnn.frontier(density="uniform", samples=20_000)
    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    found.plot(ax=figure.subplots())
    path, buffer = out / "figures" / "estimators.png", io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write(path, buffer.getvalue())
    rows = [[v if isinstance(v, str) else "" if v != v else f"{v:.4g}" for v in row.values()] for row in found.table()]
    return path, (list(found.table()[0]), rows)
