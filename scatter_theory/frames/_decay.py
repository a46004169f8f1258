r"""The decay constant :math:`K = \sup_\xi |\hat\chi(\xi)| |\xi|` over all frequencies, by refined sampling."""

from __future__ import annotations


from scatter_theory.constants import Constant
from scatter_theory.frames._base import Frame
from scatter_theory.grid import Grid


def supremum(frame: Frame, d: int) -> Constant:
    r"""K over R^d, in cycles per reference sample (or per unit for frames with a cutoff).

    The low-pass is sampled on periodic grids of growing length, whose DFT frequencies are nested; the value is the
    last maximum and the error the last change, which estimates but does not prove it.
    """
    lengths = {1: (1 << 12, 1 << 14, 1 << 16), 2: (256, 512, 1024), 3: (32, 64, 128)}[d]
    rate = getattr(frame, "cutoff", None)
    values = []
    for n in lengths:
        grid = Grid.of((n,) * d) if rate is None else Grid.of((n,) * d, sample_rate=8 * rate)
        values.append(float(frame.on(grid, sided="half" if frame.sided == "auto" else None).decay_constant().value))
    unit = "cycles/sample" if rate is None else "cycles/unit"
    return Constant(
        max(values), f"maximum over {lengths[-1]}^{d} frequencies", "estimated", unit, abs(values[-1] - values[-2])
    )
