"""How much of its energy a non-negative signal can have where a multiplier is large: the best one found."""

from __future__ import annotations

import math

import numpy as np

#: Steps of the positive-part iteration, and phases of its half-wave starts.
STEPS, PHASES = 600, 4


def attained(M: np.ndarray, rng: np.random.Generator) -> float:
    """Largest quotient of a non-negative u that the iteration ``u <- (M u)_+`` finds; it never falls (M >= 0)."""
    return max(_climbed(M, u)[0] for u in _starts(M, rng))


def envelopes(M: np.ndarray) -> list[np.ndarray]:
    """Non-negative signals with much of their energy where M is large: half-waves, each before what it climbs to.

    Parameters
    ----------
    M : (*shape) array
        Multiplier >= 0 at the DFT frequencies.

    Returns
    -------
    list of (*shape) arrays
        Signals >= 0, float64.
    """
    waves = half_waves(M, int(np.argmax(M)))
    return [u for wave in waves for u in (wave, _climbed(M, wave)[1])]


def _climbed(M: np.ndarray, u: np.ndarray) -> tuple[float, np.ndarray]:
    """Quotient and signal at the end of the iteration from u."""
    before = 0.0
    for _ in range(STEPS):
        moved = np.fft.ifftn(M * np.fft.fftn(u)).real
        quotient = float(np.sum(u * moved) / np.sum(u * u))
        raised = np.maximum(moved, 0.0)
        if quotient <= before * (1 + 1e-9) or not raised.any():
            break
        u, before = raised / np.linalg.norm(raised), quotient
    return quotient, u


def half_waves(M: np.ndarray, flat: int) -> list[np.ndarray]:
    """Half-waves ``max(0, cos)`` at one frequency, given by its flat index, in several phases."""
    k = np.unravel_index(flat, M.shape)
    turns = sum(((p * f) % n) / n for p, f, n in zip(np.indices(M.shape), k, M.shape, strict=True))
    waves = (np.maximum(np.cos(2 * math.pi * (turns + j / (4 * PHASES))), 0.0) for j in range(PHASES))
    return [u for u in waves if u.any()]


def _starts(M: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Half-waves at the largest frequencies in several phases, their powers, bumps of all widths, random signals."""
    points = np.indices(M.shape)
    starts = []
    for flat in np.argsort(M, axis=None)[::-1][:2]:
        waves = half_waves(M, int(flat))
        starts += [*waves, *(waves[0] ** power for power in (2, 4, 8, 16, 32))]
    squares = sum((((p + n // 2) % n - n // 2) / n) ** 2 for p, n in zip(points, M.shape, strict=True))
    starts += [np.exp(-squares / width**2) for width in 0.5 ** np.arange(1, 11)]
    starts += [(points == 0).all(0).astype(float), *(rng.random(M.shape) ** 8 for _ in range(3))]
    return [u for u in starts if u.any()]
