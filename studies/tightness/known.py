r"""What the search should have found where a worst case is known.

Layer 0 sees nothing but the output atom, and the real tone at the maximiser attains

.. math:: \|(T_t f - f) * \chi\| \le \max_k |e^{-2\pi i \langle t, \xi_k\rangle} - 1| |\hat\chi(\xi_k)| \, \|f\| .

Without pooling a network with tanh is linear in the limit of small signals. With the propagating sum
:math:`G = \sum_\lambda |\hat g_\lambda|^2` its features of layer n then move by the same with
:math:`|\hat\chi| G^{n/2}` in place of :math:`|\hat\chi|`: the worst case is at least as large. Both hold for real tones
where :math:`|\hat\chi|` and G are even, as for all frames of the map, whose atoms are real there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scatter_theory import config, theory
from studies.shared.summary import table_lines
from studies.tightness.plan import Network, Plan
from studies.tightness.tables import Row, worst


@dataclass(frozen=True)
class Known:
    """The translation bound of one layer of networks with one frame, tanh and no pooling.

    Parameters
    ----------
    d : int
    frame : str
    layer : int
    found : float
        Largest ratio of measured value and bound.
    known : float
        The same for the worst signal (layer 0), or for the worst small signal.
    """

    d: int
    frame: str
    layer: int
    found: float
    known: float


def known(plan: Plan, table: Sequence[Row]) -> list[Known]:
    """Found and known ratios of all layers that are on the map; at layer 0 of all networks."""
    lines = []
    for d, frame in ((d, frame) for d, frames in plan.frames.items() for frame in frames):
        for layer, ratio in enumerate(_ratios(plan, d, frame)):
            same = {} if layer == 0 else {"nonlinearity": "tanh", "pooling": "none"}
            best = worst(table, d=d, frame=frame, claim="translation", part=f"layer {layer}", **same)
            if best is not None:
                lines.append(Known(d, frame, layer, best.ratio, ratio))
    return lines


def _ratios(plan: Plan, d: int, frame: str) -> list[float]:
    network = Network(d, frame, "tanh", "none", 1).table(plan.samples[d])
    phi = config.network({"grid": network["grid"], "layer": [{"frame": network["frame"], "nonlinearity": "Tanh"}]})
    bank = phi.banks[0]
    chi, G = bank.output.abs().numpy(), bank.propagating_sum(real=True).clamp_min(0).numpy()
    xi, K = bank.grid.frequencies().numpy(), bank.decay_constant().value
    shifts = {t: (float(t), *[0.0] * (d - 1)) for t in plan.shifts}
    return [
        max(
            theory.translation_multiplier(chi * G ** (n / 2), xi, shift) / theory.translation_bound(t, K)
            for t, shift in shifts.items()
        )
        for n in range(plan.depth + 1)
    ]


def reached(lines: Sequence[Known]) -> str:
    """Found and known ratios as a table, a line per frame."""
    layers = sorted({line.layer for line in lines})
    body = []
    for d, frame in dict.fromkeys((line.d, line.frame) for line in lines):
        cells = {z.layer: f"{z.found:.3f} of {z.known:.3f}" for z in lines if (z.d, z.frame) == (d, frame)}
        body.append([str(d), frame, *(cells.get(n, "") for n in layers)])
    head = ["d", "frame", *(f"layer {n}" for n in layers)]
    text = "translations, found of known: layer 0 of all networks, then tanh without pooling and small signals"
    return "\n".join(["", text, "", *table_lines(head, body), ""])
