"""Whether the filters of a network are functions of frequency, so that finer grids sample the same network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from scatter_theory.certify._flags import checked_layer
from scatter_theory.frames import Bank
from scatter_theory.grid import is_whole
from scatter_theory.layers import bank_of
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import Hypothesis

#: Largest change of an atom between two grids that counts as rounding.
SAME = 1e-9


def continuous(phi: FeatureExtractor, q: int = 2) -> Hypothesis:
    r"""The filters are functions of frequency: on a grid q times as fine every bank has the same atoms.

    Then the network is a sampling of one network on the torus, of which a bound on the line or torus speaks. Every atom
    of either bank is compared on the lower half of the coarse frequencies, by its label; an atom that only one of the
    two grids has must vanish there. Frames given by taps or by spectra fail, because they belong to their samples; so
    do atoms that are wrapped or renormalised at the highest frequencies of their grid. The value is the largest change.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    q : int
        How many times finer the second grid is, at least 2.

    Returns
    -------
    Hypothesis
        Whether it is satisfied, and what decided.

    Raises
    ------
    TypeError, ValueError
        If `phi` is no FeatureExtractor, or q is not a whole number >= 2.
    """
    checked_layer(phi, 0, "continuous", 0)
    if not is_whole(q) or q < 2:
        raise ValueError(f"`continuous(q=...)`: got {q!r}, expected a whole number >= 2.")
    text = f"filters are functions of frequency: the same atoms on a grid {int(q)} times as fine"
    try:
        fine = _banks(phi, int(q))
    except ValueError as error:
        return Hypothesis(text, False, str(error).split(". ")[0])
    worst, name = 0.0, ""
    for n, (bank, finer) in enumerate(zip(phi.banks, fine, strict=True), 1):
        for label, change in _changes(bank, finer, n <= phi.depth):
            if not change <= worst:
                worst, name = change, f"{label} of layer {n}" if n <= phi.depth else "the last output atom"
    return Hypothesis(text, worst <= SAME, worst if worst <= SAME else f"{name} changes by {worst:.3g}")


def _banks(phi: FeatureExtractor, q: int) -> list[Bank]:
    """The banks of the same network on a grid q times as fine, the final one last; raises as the frames do."""
    grid = phi.grid.refined(q)
    banks = []
    for n, layer in enumerate(phi.layers):
        banks.append(bank_of(layer, grid, phi.reference, phi.real[n], f"layers[{n}]"))
        grid = layer.pooling.grid(grid, phi.sampling)
    sided = "half" if phi.real[-1] else "both"
    return [*banks, phi.final.on(grid, reference=phi.reference, sided=sided, real=phi.real[-1])]


def _changes(bank: Bank, fine: Bank, propagating: bool) -> list[tuple[str, float]]:
    """Largest difference of every atom on the lower half of the coarse frequencies, by label."""
    low, high = (_lower_half(b, bank.grid.shape) for b in (bank, fine))
    labels = dict.fromkeys(["", *low, *high]) if propagating else [""]
    zero = torch.zeros_like(low[""])
    pairs = ((label or "the output atom", low.get(label, zero), high.get(label, zero)) for label in labels)
    return [(label, float((a - b).abs().max())) for label, a, b in pairs]


def _lower_half(bank: Bank, shape: Sequence[int]) -> dict[str, Tensor]:
    """Atoms by label, the output atom under "", at ``|k_i| <= (N_i - 1)//4`` of a grid of the given shape."""
    lengths = zip(shape, bank.grid.shape, strict=True)
    steps = [torch.arange(-((n - 1) // 4), (n - 1) // 4 + 1) % large for n, large in lengths]
    atoms = {"": bank.output, **{a.label: s for a, s in zip(bank.atoms, bank.spectra, strict=True)}}
    corner: tuple[Any, ...] = torch.meshgrid(*steps, indexing="ij")
    return {label: s.detach()[corner] for label, s in atoms.items()}
