"""The reference scale of a frame: J octaves below the reference sampling rate, or a cutoff in cycles per unit."""

from __future__ import annotations

import math

from scatter_theory.grid import Grid


def check_scale(owner: str, J: int | None, cutoff: float | None) -> None:
    """Raise ValueError unless exactly one of J (whole, >= 1) and cutoff (positive) is given."""
    if (J is None) == (cutoff is None):
        raise ValueError(
            f"`{owner}`: give either `J=` (octaves) or `cutoff=` (cycles per unit), got J={J}, cutoff={cutoff}."
        )
    if J is not None and (isinstance(J, bool) or int(J) != J or J < 1):
        raise ValueError(f"`{owner}(J=...)`: got {J!r}, expected a whole number of octaves >= 1.")
    if cutoff is not None and not (math.isfinite(cutoff) and cutoff > 0):
        raise ValueError(f"`{owner}(cutoff=...)`: got {cutoff!r}, expected a positive frequency in cycles per unit.")


def resolve_scale(J: int | None, cutoff: float | None, reference: Grid) -> tuple[int, tuple[float, ...]]:
    """Octaves J and the length per axis that turns cycles per unit into cycles per reference sample.

    The half-power frequency of the low-pass is ``2^-(J+1)`` cycles per reference sample. A `cutoff` (that half-power
    frequency in cycles per unit) is met exactly and isotropically by a virtual reference rate ``2^(J+1) cutoff``, with
    J the smallest number of octaves for which that rate is at least the sampling rate of `reference`.
    """
    if cutoff is None:
        assert J is not None
        limit = max_octaves(reference)
        if J > limit:
            raise ValueError(
                f"`J={J}`: on {reference.shape} samples the low-pass would hold nothing but the mean; the largest "
                f"admissible J is {limit}. Use a longer grid or a smaller J."
            )
        return J, reference.spacing
    rate = max(1.0 / h for h in reference.spacing)
    octaves = max(0, math.ceil(math.log2(rate / (2 * cutoff)) - 1e-9))
    return octaves, (1.0 / (2 * cutoff * 2**octaves),) * reference.ndim


def max_octaves(grid: Grid) -> int:
    """Largest J whose low-pass support (``|xi| < 2^(1-J)/3``) holds a non-zero frequency of the longest axis."""
    return max(1, math.ceil(math.log2(2 * max(grid.shape) / 3)) - 1)


def top_frequency(grid: Grid, unit: tuple[float, ...]) -> float:
    """Highest Nyquist frequency of the grid, in cycles per reference sample."""
    return max(n * u for n, u in zip(grid.nyquist, unit, strict=True))
