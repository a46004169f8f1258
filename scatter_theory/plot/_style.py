"""One small style, applied only while drawing: colours that survive colour blindness, marks that survive grey."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

#: Okabe and Ito's colours, ordered so that neighbours differ in lightness too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")

#: Colour and marker of each outcome; the word or symbol stands beside them wherever they are used.
OUTCOMES = {
    "HOLDS": ("#0072B2", "o"),
    "VIOLATED": ("#D55E00", "X"),
    "INCONCLUSIVE": ("#E69F00", "s"),
    "VACUOUS": ("#7F7F7F", "D"),
    "INAPPLICABLE": ("#8C8C8C", "d"),
}

_RC = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.6,
    "image.interpolation": "nearest",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "savefig.dpi": 110,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style inside the block and restore every setting afterwards.

    Not so the interactive flag: a notebook's back end sets it when the first figure is made, which may be in here.

    Yields
    ------
    None
        The style holds until the block ends.
    """
    with mpl.rc_context(_RC):
        yield
        interactive = mpl.is_interactive()
    mpl.interactive(interactive)


def hues(n: int, lightness: tuple[float, ...] = (0.45, 0.62, 0.76)) -> np.ndarray:
    """`n` colours, ``(n, 3)`` RGB in [0, 1]: hues by the golden ratio, in alternating lightnesses."""
    ratio = (5**0.5 - 1) / 2
    rows = [colorsys.hls_to_rgb((0.58 + ratio * i) % 1.0, lightness[i % len(lightness)], 0.75) for i in range(n)]
    return np.array(rows).reshape(n, 3)


def spans_decades(values: np.ndarray, ratio: float = 30.0) -> bool:
    """Whether the positive finite values spread over more than a factor `ratio`, so that a log axis is due."""
    values = values[np.isfinite(values) & (values > 0)]
    return bool(values.size and values.max() > ratio * values.min())


def log_ticks(axis: Any, values: np.ndarray) -> None:
    """Ticks of a logarithmic axis that do not overlap: at 1, 2 and 5 over few decades, else at powers of ten."""
    values = values[np.isfinite(values) & (values > 0)]
    narrow = bool(values.size) and values.max() < 300 * values.min()
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
    if narrow:
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())
