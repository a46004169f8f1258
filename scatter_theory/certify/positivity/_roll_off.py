r"""Low-pass profiles on the line that fall: their values, and where they are smooth their slope and curvature.

A roll-off is :math:`|\hat\chi(w)| = \cos\theta(w)` with :math:`\theta = \tfrac\pi2\nu(t(w))`, a step :math:`\nu` and a
position t that runs from 0 to 1 between two frequencies. Then

.. math:: (\log\cos\theta)' = -\theta'\tan\theta, \qquad
          -(\log\cos\theta)'' = \theta''\tan\theta + \theta'^2\sec^2\theta ,

and both are bounded on an interval from the bounds of :math:`\nu, \nu', \nu''`, which are products of monotone pieces.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from scatter_theory.frames._steps import check_step, lowpass

#: Lower and upper ends of a quantity on intervals.
Ends = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class RollOff:
    r"""The low-pass of a tight family: 1 up to `flat`, :math:`\cos(\tfrac\pi2\nu)` between, 0 from `zero` on.

    Parameters
    ----------
    flat, zero : float
        Frequencies ``0 <= flat < zero``, in cycles per sample (or unit).
    step : {"meyer", "smooth", "linear", "sharp"}
    log : bool
        Whether the position runs linearly in log-frequency; needs ``flat > 0``.

    Raises
    ------
    ValueError
        For frequencies out of order, or an unknown step.
    """

    flat: float
    zero: float
    step: str = "meyer"
    log: bool = False

    def __post_init__(self) -> None:
        check_step("RollOff", self.step)
        if not (0 <= self.flat < self.zero < math.inf) or (self.log and self.flat == 0):
            raise ValueError(
                f"`RollOff(flat=..., zero=...)`: got {self.flat!r}, {self.zero!r}, expected 0 <= flat < zero, and "
                "flat > 0 with log=True."
            )

    @property
    def end(self) -> float:
        """Frequency from which on the profile is 0."""
        if self.step != "sharp":
            return self.zero
        return math.sqrt(self.flat * self.zero) if self.log else 0.5 * (self.flat + self.zero)

    def power(self, w: np.ndarray) -> np.ndarray:
        r""":math:`|\hat\chi|^2` at frequencies ``w >= 0``; at a jump the larger value."""
        w = np.asarray(w, dtype=float)
        if self.step == "sharp":
            return (w <= self.end).astype(float)
        return lowpass(torch.tensor(w), self.flat, self.zero, self.step, log=self.log).numpy()

    def slope(self, w: float) -> float:
        r""":math:`-(\log|\hat\chi|)'` at one frequency between `flat` and `zero`."""
        t, rate, _ = self._position(np.array([w]))
        nu, first, _ = _step(self.step, t, t)
        return float((0.5 * math.pi * first[0] * rate * np.tan(0.5 * math.pi * nu[0]))[0])

    def curvature(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        r"""Lower bound of :math:`-(\log|\hat\chi|)''` on the intervals ``[a, b]`` between `flat` and `zero`."""
        (t1, rate1, bend1), (t2, rate2, bend2) = self._position(a), self._position(b)
        nu, first, second = _step(self.step, t1, t2)
        tangent = np.tan(0.5 * math.pi * nu[0]), np.tan(0.5 * math.pi * nu[1])
        rate, bend = (rate2, rate1), (bend1, bend2)
        twice = _plus(_times(second, (rate[0] ** 2, rate[1] ** 2)), _times(first, bend))
        least = _times(twice, tangent)[0]
        return 0.5 * math.pi * least + (0.5 * math.pi * first[0] * rate[0]) ** 2 * (1 + tangent[0] ** 2)

    def _position(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """t, t' and t'' at w; t rises, t' falls and t'' rises."""
        if self.log:
            width = math.log(self.zero / self.flat)
            return np.log(w / self.flat) / width, 1 / (w * width), -1 / (w * w * width)
        width = self.zero - self.flat
        return (w - self.flat) / width, np.full_like(w, 1 / width), np.zeros_like(w)


@dataclass(frozen=True)
class Falling:
    r"""Any low-pass profile that falls, given by its values only.

    Parameters
    ----------
    values : callable
        ``(n,) array of w >= 0 -> (n,) array``: :math:`|\hat\chi|^2`, not rising. That it falls is the caller's word.
    end : float
        Highest frequency of the band in question (for example 1/2); beyond it the profile is taken for 0.

    Raises
    ------
    ValueError
        If `end` is not finite and positive, or sampled values rise, are negative or not finite.
    """

    values: Callable[[np.ndarray], np.ndarray]
    end: float

    def __post_init__(self) -> None:
        if not 0 < self.end < math.inf:
            raise ValueError(f"`Falling(end=...)`: got {self.end!r}, expected a finite frequency > 0.")
        samples = self.power(np.linspace(0.0, self.end, 1025))
        if not np.all(np.isfinite(samples)) or np.any(samples < 0) or np.any(np.diff(samples) > 1e-12 * samples[0]):
            raise ValueError("`Falling(values=...)`: expected finite values >= 0 that do not rise with frequency.")

    def power(self, w: np.ndarray) -> np.ndarray:
        r""":math:`|\hat\chi|^2` at frequencies ``w >= 0``."""
        w = np.asarray(w, dtype=float)
        return np.where(w <= self.end, np.asarray(self.values(w), dtype=float), 0.0)


def _step(name: str, t1: np.ndarray, t2: np.ndarray) -> tuple[Ends, Ends, Ends]:
    r"""Bounds of :math:`\nu, \nu', \nu''` on ``[t1, t2]`` within [0, 1]."""
    t1, t2 = np.clip(t1, 0.0, 1.0), np.clip(t2, 0.0, 1.0)
    s1, s2 = 1 - t2, 1 - t1
    skew = 1 - 2 * t2, 1 - 2 * t1
    one, zero = np.ones_like(t1), np.zeros_like(t1)
    if name == "linear":
        return (t1, t2), (one, one), (zero, zero)
    hump = _hump((t1, t2))
    if name == "meyer":
        value = tuple(t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3) for t in (t1, t2))
        squared = hump[0] ** 2, hump[1] ** 2
        return value, (140 * hump[0] ** 3, 140 * hump[1] ** 3), _times(_scaled(squared, 420.0), skew)
    # The smooth step is the logistic function of g(t) = 1/(1 - t) - 1/t.
    t1, t2, s1, s2 = (np.maximum(x, 1e-3) for x in (t1, t2, s1, s2))
    value = tuple(1 / (1 + np.exp(np.minimum(1 / t - 1 / s, 700.0))) for t, s in ((t1, s2), (t2, s1)))
    slope = 1 / t2**2 + 1 / s2**2, 1 / t1**2 + 1 / s1**2
    bend = -2 / t1**3 + 2 / s2**3, -2 / t2**3 + 2 / s1**3
    share = _hump(value)
    tilt = 1 - 2 * value[1], 1 - 2 * value[0]
    inner = _plus(_times(tilt, (slope[0] ** 2, slope[1] ** 2)), bend)
    return value, _times(share, slope), _times(share, inner)


def _hump(t: Ends) -> Ends:
    """Bounds of ``t (1 - t)``."""
    ends = t[0] * (1 - t[0]), t[1] * (1 - t[1])
    return np.minimum(*ends), np.where((t[0] < 0.5) & (t[1] > 0.5), 0.25, np.maximum(*ends))


def _scaled(x: Ends, factor: float) -> Ends:
    return factor * x[0], factor * x[1]


def _plus(x: Ends, y: Ends) -> Ends:
    return x[0] + y[0], x[1] + y[1]


def _times(x: Ends, y: Ends) -> Ends:
    products = np.stack([p * q for p in x for q in y])
    return products.min(0), products.max(0)
