"""A partition of a box into boxes by halving: a binary tree, written down as the axes along which it was divided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

#: Marks a box that was not divided further.
LEAF = -1

#: Which half was taken at every division, from the root on; 0 is the lower one.
Place = tuple[int, ...]


@dataclass(frozen=True)
class Box:
    r"""A box of parameters.

    Parameters
    ----------
    centre, half : tuples of p numbers
        The box is :math:`|c_i - centre_i| \le half_i`.
    """

    centre: tuple[float, ...]
    half: tuple[float, ...]

    def halves(self, axis: int) -> tuple[Box, Box]:
        """The two halves along an axis, the lower one first."""
        half = tuple(h / 2 if i == axis else h for i, h in enumerate(self.half))
        centres = (
            tuple(c + sign * half[axis] if i == axis else c for i, c in enumerate(self.centre)) for sign in (-1, 1)
        )
        low, high = (Box(centre, half) for centre in centres)
        return low, high


def rows(boxes: Sequence[Box], device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres and half widths, ``(n, p)`` each."""
    both = torch.tensor([[b.centre, b.half] for b in boxes], dtype=torch.float64, device=device)
    return both[:, 0], both[:, 1]


def written(splits: Mapping[Place, int]) -> tuple[int, ...]:
    """The tree in depth-first order: the axis of every division, `LEAF` for what was not divided."""
    order, stack = [], [Place()]
    while stack:
        place = stack.pop()
        axis = splits.get(place, LEAF)
        order.append(axis)
        if axis != LEAF:
            stack += [(*place, 1), (*place, 0)]
    return tuple(order)


def read(tree: Sequence[int], root: Box) -> list[Box]:
    """The boxes of a tree, which cover the root whatever the numbers are.

    Raises
    ------
    ValueError
        For a list that is no tree.
    """
    leaves, stack = [], [root]
    for axis in tree:
        if not stack or axis not in (LEAF, *range(len(root.half))):
            raise ValueError("`tree`: got a list that is not a tree of boxes.")
        box = stack.pop()
        if axis == LEAF:
            leaves.append(box)
        else:
            low, high = box.halves(axis)
            stack += [high, low]
    if stack:
        raise ValueError("`tree`: the list ends before every box is told.")
    return leaves
