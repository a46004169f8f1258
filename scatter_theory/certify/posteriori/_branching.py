"""Best first: the box with the largest upper value is divided until the two values of the supremum are close."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scatter_theory.certify.posteriori._boxes import Box, Place, rows
from scatter_theory.certify.posteriori._local import Local

Progress = Callable[[int, int, str], None] | None

#: Samples that are evaluated at once on the CPU, and boxes on other devices.
SAMPLES, BOXES = 1 << 12, 16


@dataclass(frozen=True)
class Search:
    """What is proven so far.

    Parameters
    ----------
    leaves : mapping of Place to (Box, float)
        The boxes that are not divided, and the upper value of each.
    splits : mapping of Place to int
        The axis of each division.
    axes : mapping of Place to int
        The axis along which each box would be divided.
    lower : float
        Best value found, rounded down.
    witness : tuple of p numbers
        The parameters that attain it.
    evaluations : int
        Evaluations of the network.
    """

    leaves: Mapping[Place, tuple[Box, float]]
    splits: Mapping[Place, int]
    axes: Mapping[Place, int]
    lower: float
    witness: tuple[float, ...]
    evaluations: int

    @property
    def upper(self) -> float:
        """Proven upper value over the family."""
        return max([0.0, *(bound for _, bound in self.leaves.values())])


def close(lower: float, upper: float, tolerance: float, rounding: float) -> bool:
    """Whether two values differ by at most a share of the upper one, or by rounding."""
    return upper - lower <= max(tolerance * upper, 4 * rounding)


def search(local: Local, tolerance: float, most: int, progress: Progress) -> Search:
    """Divide until the values are close, the evaluations are used up, or the user interrupts.

    Every state is a proof. An interruption ends the search with the last complete one.
    """
    root = Box((0.0,) * len(local.chart.half), local.chart.half)
    state = Search({(): (root, math.inf)}, {}, {}, 0.0, root.centre, 0)
    state = _replaced(local, state, [], {(): root})
    try:
        while not close(state.lower, state.upper, tolerance, local.rounding) and state.evaluations < most:
            state = _divided(local, state, tolerance)
            if progress is not None:
                progress(min(state.evaluations, most), most, f"[{state.lower:.6g}, {state.upper:.6g}]")
    except KeyboardInterrupt:
        pass
    return state


def _batch(local: Local) -> int:
    device = local.phi.device
    return max(1, SAMPLES // local.phi.grid.size) if device.type == "cpu" else BOXES


def _divided(local: Local, state: Search, tolerance: float) -> Search:
    """The state after the boxes with the largest values were divided."""
    enough = state.lower / (1 - tolerance)
    top = heapq.nlargest(_batch(local), state.leaves.items(), key=lambda item: item[1][1])
    chosen = [place for place, (_, bound) in top if bound > enough]
    children = {}
    for place in chosen:
        halves = state.leaves[place][0].halves(state.axes[place])
        children.update({(*place, side): half for side, half in enumerate(halves)})
    return _replaced(local, state, chosen, children)


def _replaced(local: Local, state: Search, parents: list[Place], children: Mapping[Place, Box]) -> Search:
    """The state with boxes in place of their parents, evaluated at their centres and at their best corners."""
    chart, device = local.chart, local.phi.device
    c, r = rows(list(children.values()), device)
    meets = chart.meets(c, r)
    leaves = {place: (box, -math.inf) for place, box in children.items()}
    axes = dict(state.axes)
    lower, witness, evaluations = state.lower, state.witness, state.evaluations
    places = [place for place, good in zip(children, meets.tolist(), strict=True) if good]
    if places:
        c, r = c[meets], r[meets]
        bounds = local.bounds(c, r)
        uppers, splits = bounds.upper.tolist(), bounds.axis.tolist()
        for place, upper, axis in zip(places, uppers, splits, strict=True):
            leaves[place], axes[place] = (children[place], upper), axis
        best = int(bounds.upper.argmax())
        tried = chart.inside(bounds.corner[best : best + 1])
        found = [(v, tuple(row)) for v, row in zip(bounds.lower.tolist(), c.tolist(), strict=True)]
        found += [(float(local.heights(tried)[0]), tuple(tried[0].tolist()))]
        for value, parameters in found:
            if value > lower and chart.contains(parameters):
                lower, witness = value, parameters
        evaluations += len(places) + 1
    kept = {place: leaf for place, leaf in state.leaves.items() if place not in set(parents)} if parents else {}
    divided = {place: state.axes[place] for place in parents}
    return Search({**kept, **leaves}, {**state.splits, **divided}, axes, lower, witness, evaluations)
