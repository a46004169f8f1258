"""States of all tensors at all measured steps, kept on the device until they are read."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, distributed

from scatter_theory.bnn._indicator_tally import Tally


class Record:
    """Rows of packed states, one per measured step and role.

    Parameters
    ----------
    sites : mapping of str to tuple of str
        Role, and the paths of its tensors.
    n_curves : int
        Curves of the estimating error.
    """

    def __init__(self, sites: Mapping[str, tuple[str, ...]], n_curves: int) -> None:
        self.sites, self.n_curves = sites, n_curves
        self.steps: list[int] = []
        self.rows: dict[str, list[Tensor]] = {role: [] for role in sites}
        self._found_inf: list[Tensor | None] = []
        self._merged = 0

    def add(self, step: int, packed: Mapping[str, Tensor], found_inf: Tensor | None = None) -> None:
        """Append a step.

        Parameters
        ----------
        step : int
            Its number.
        packed : mapping of str to (length,) tensors
            States by path; tensors without one are empty at this step.
        found_inf : tensor or None
            Where it is > 0, `read` will drop the step.
        """
        self.steps.append(step)
        self._found_inf.append(None if found_inf is None else found_inf.clone())
        device = next((row.device for row in packed.values()), None)
        empty = Tally.init(self.n_curves, device).pack()
        for role, keys in self.sites.items():
            self.rows[role].append(torch.stack([packed.get(key, empty).to(device) for key in keys]))

    def merge_ranks(self, group: object = None) -> None:
        """Replace the rows of activations that were not merged before by those of the union over ranks.

        Raises
        ------
        RuntimeError
            If the ranks hold different numbers of rows.
        """
        rows = self.rows.get("activation", [])
        own = torch.tensor([len(self.steps)], dtype=torch.int64, device=rows[0].device if rows else None)
        numbers = [int(n) for n in _all(own, group)]
        if len(set(numbers)) > 1:
            raise RuntimeError(
                f"`Indicators.merge_ranks()`: the ranks have measured {numbers} steps, expected equal numbers; call it "
                "at the same step on all ranks."
            )
        fresh = rows[self._merged :]
        if fresh:
            parts = torch.stack(_all(torch.stack(fresh), group))
            rows[self._merged :] = list(Tally.unpack(parts).collapsed().pack())
        self._merged = len(self.steps)

    def read(self, start: int = 0) -> tuple[tuple[str, ...], list[int], Tensor, int]:
        """Sites, steps, packed states ``(n_sites, n_steps, length)`` on the CPU, and how many steps were dropped.

        The rows before `start` are left out of all of these.
        """
        sites = tuple(key for keys in self.sites.values() for key in keys)
        infinite = list(enumerate(self._found_inf))[start:]
        kept = [k for k, found in infinite if found is None or not bool(found > 0)]
        steps = [self.steps[k] for k in kept]
        if not kept:
            empty = Tally.init(self.n_curves).pack().expand(len(sites), 0, -1)
            return sites, steps, empty, len(infinite)
        stacked = [torch.stack([rows[k] for k in kept], 1).cpu() for rows in self.rows.values()]
        return sites, steps, torch.cat(stacked), len(infinite) - len(kept)


def _all(x: Tensor, group: object) -> list[Tensor]:
    parts = [torch.empty_like(x) for _ in range(distributed.get_world_size(group))]
    distributed.all_gather(parts, x.contiguous(), group=group)
    return parts
