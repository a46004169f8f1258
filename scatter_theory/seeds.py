"""Random numbers: seeds that are always recorded, never global state."""

from __future__ import annotations

import torch

Seed = int | torch.Generator | None


def seeded(generator: Seed) -> tuple[torch.Generator, int]:
    """A CPU generator and the seed that reproduces it; None draws a fresh seed.

    Raises
    ------
    TypeError
        If `generator` is neither None, a whole number nor a ``torch.Generator``.
    """
    if isinstance(generator, torch.Generator):
        return generator, generator.initial_seed()
    if generator is None:
        fresh = torch.Generator()
        return fresh, fresh.seed()
    if isinstance(generator, bool) or not isinstance(generator, int):
        raise TypeError(f"`generator`: got {generator!r}, expected None, a whole number or a torch.Generator.")
    return torch.Generator().manual_seed(generator), generator
