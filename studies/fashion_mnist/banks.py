r"""Filter banks on a periodic n x n grid: Morlet wavelets, and tight directional wavelets around a chosen low-pass.

Every bank is a half bank for real input, ``LP = |chi_J|^2 + 1/2 sum (|g(xi)|^2 + |g(-xi)|^2)``. The tight families have

.. math:: |\hat g_{j,l}|^2 = 2 \bigl(|\chi_{j-1}|^2 - |\chi_j|^2\bigr) V_{j,l}

with angular shares V that sum to one over the full circle, of which the half bank keeps one half. The bands telescope:
LP = 1 for any decreasing sequence of low-passes. Frequencies are in cycles per pixel.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

#: Half-power frequency of kymatio's low-pass times 2^J.
KYMATIO_CUT = math.sqrt(math.log(2.0)) / (2 * math.pi * 0.4)
#: Centre frequency of kymatio's finest Morlet wavelet.
CENTRE = 0.375


def _meyer(t: Tensor) -> Tensor:
    t = t.clamp(0.0, 1.0)
    return torch.cos(0.5 * math.pi * t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3)) ** 2


def _linear(t: Tensor) -> Tensor:
    return torch.cos(0.5 * math.pi * t.clamp(0.0, 1.0)) ** 2


def _bohman(t: Tensor) -> Tensor:
    t = t.clamp(0.0, 1.0)
    return ((1 - t) * torch.cos(math.pi * t) + torch.sin(math.pi * t) / math.pi) ** 2


#: Kind -> squared low-pass on one axis, as a function of frequency / half-power frequency. The kernels of the last
#: three are non-negative in space: a Gaussian, and autocorrelations in frequency (of a box, of half a cosine period).
LOW_PASSES: dict[str, Callable[[Tensor], Tensor]] = {
    "meyer": lambda t: _meyer(1.5 * t - 1.0),
    "linear": lambda t: _linear(1.5 * t - 1.0),
    "gauss": lambda t: torch.exp2(-(t**2)),
    "fejer": lambda t: (1.0 - (1.0 - math.sqrt(0.5)) * t).clamp_min(0.0) ** 2,
    "bohman": lambda t: _bohman(0.27833464904337507 * t),
}


@dataclass(frozen=True)
class LowPass:
    """Separable output low-pass.

    Parameters
    ----------
    kind : str
        Key of `LOW_PASSES`.
    cut : float
        Half-power frequency times ``2^J``; `KYMATIO_CUT` with a Gaussian is kymatio's low-pass.
    J : int
        Octaves.
    crop : bool
        Pool a map of m samples with the frequencies below m/2 only, as kymatio does, instead of with the samples of the
        kernel, which stay non-negative.
    """

    kind: str = "gauss"
    cut: float = KYMATIO_CUT
    J: int = 2
    crop: bool = False

    def amplitude(self, xi: Tensor) -> Tensor:
        """Low-pass on one axis at the frequencies."""
        return LOW_PASSES[self.kind](xi.abs() * 2**self.J / self.cut).sqrt()


@dataclass(frozen=True)
class Bank:
    """Wavelets of scales 1 (finest) to J.

    Parameters
    ----------
    J : int
        Scales.
    L : int
        Orientations of the half bank at every scale.
    family : str
        ``"morlet"`` (kymatio's), ``"morlet-tight"`` (the same, scaled at every frequency so that LP = 1 with kymatio's
        low-pass), or a key of `LOW_PASSES`.
    cut : float
        Half-power frequency of the j-th low-pass times ``2^j`` (tight families).
    angular : str
        ``"linear"`` or ``"meyer"`` windows, of which only neighbours overlap, or ``"gauss"``.
    width : float
        Width of the Gaussian windows in units of the distance of neighbours: ``V ~ exp(-(t / width)^2)``.
    round : bool
        Bands that are functions of the radius instead of differences of separable low-passes.
    open : bool
        Let the finest band take all frequencies above it; otherwise it ends at the low-pass of scale 0 and the
        remaining high-pass is left out.
    tolerance : float
        Share of a filter's largest amplitude below which it is set to zero.
    slant : float, optional
        Aspect of the Morlet envelopes; kymatio's is 4 / L.
    sigma : float
        Standard deviation of the finest Morlet envelope along its direction, in pixels; kymatio's is 0.8.
    centre : float
        Centre frequency of the finest Morlet wavelets; kymatio's is `CENTRE`.
    """

    J: int
    L: int
    family: str = "linear"
    cut: float = 0.5
    angular: str = "linear"
    width: float = 0.65
    round: bool = False
    open: bool = True
    tolerance: float = 0.01
    slant: float | None = None
    sigma: float = 0.8
    centre: float = CENTRE

    def spectra(self, n: int) -> list[Tensor]:
        """Filters on the n x n grid, one (L, n, n) float64 tensor per scale, fine to coarse; kept for the next call."""
        return _spectra(self, n)

    def bounds(self, n: int) -> tuple[float, float]:
        """Frame bounds A and B on the n x n grid of the wavelets and the low-pass of scale J, for real input."""
        return _bounds(self, n)

    def _made(self, n: int) -> list[Tensor]:
        if self.family.startswith("morlet"):
            scales = [self._morlet(n, j) for j in range(1, self.J + 1)]
            if self.family == "morlet-tight":
                lack = 1.0 - self._low(_axes(n), self.J)
                gain = (lack / _energy(scales).clamp_min(1e-12)).clamp_min(0.0).sqrt()
                scales = [scale * gain for scale in scales]
        else:
            scales = [self._tight(n, j) for j in range(1, self.J + 1)]
        peaks = [scale.abs().amax((-2, -1), keepdim=True) for scale in scales]
        cut = self.tolerance
        return [torch.where(g.abs() < cut * peak, 0.0, g) for g, peak in zip(scales, peaks, strict=True)]

    def _low(self, xi: Tensor, j: int) -> Tensor:
        """Squared low-pass of scale j at the frequencies (2, n, n)."""
        kind, cut = ("gauss", KYMATIO_CUT) if self.family.startswith("morlet") else (self.family, self.cut)
        t = xi * 2**j / cut
        if self.round:
            return LOW_PASSES[kind](torch.linalg.vector_norm(t, dim=0))
        return LOW_PASSES[kind](t.abs()).prod(0)

    def _tight(self, n: int, j: int) -> Tensor:
        # A frequency of -1/2 stands for +1/2 too: the mean over its signs keeps LP = 1 there.
        return torch.stack([self._power(xi, j) for xi in _nyquist_signs(n)]).mean(0).mul(2.0).sqrt()

    def _power(self, xi: Tensor, j: int) -> Tensor:
        above = torch.ones_like(xi[0]) if j == 1 and self.open else self._low(xi, j - 1)
        band = (above - self._low(xi, j)).clamp_min(0.0)
        turn = torch.atan2(xi[1], xi[0]) * (self.L / math.pi)
        t = turn - torch.arange(2 * self.L, dtype=torch.float64)[:, None, None]
        t = (t + self.L).remainder(2 * self.L) - self.L
        if self.angular == "gauss":
            share = torch.exp(-((t / self.width) ** 2))
            share = share / share.sum(0)
        else:
            share = {"linear": _linear, "meyer": _meyer}[self.angular](t.abs())
        return band * share[: self.L]

    def _morlet(self, n: int, j: int) -> Tensor:
        """Spectra of the sampled wavelets, with kymatio's order of the angles; each peak of a Gaussian is one."""
        scale = 2.0 ** (1 - j)
        along_width = scale / (2 * math.pi * self.sigma)
        centre = self.centre * scale
        across_width = along_width * (self.slant or 4.0 / self.L)
        xi, zero = _axes(n), torch.zeros(2, 1, 1, dtype=torch.float64)
        filters = []
        for index in range(self.L):
            angle = (int(self.L - self.L / 2 - 1) - index) * math.pi / self.L
            cosine, sine = math.cos(angle), math.sin(angle)

            def folded(at: Tensor, shift: float, c: float = cosine, s: float = sine) -> Tensor:
                total = torch.zeros_like(at[0])
                for a, b in itertools.product(range(-2, 3), repeat=2):
                    along = c * (at[0] + a) + s * (at[1] + b) - shift
                    across = c * (at[1] + b) - s * (at[0] + a)
                    total += torch.exp(-0.5 * ((along / along_width) ** 2 + (across / across_width) ** 2))
                return total

            kappa = folded(zero, centre) / folded(zero, 0.0)
            filters.append(folded(xi, centre) - kappa * folded(xi, 0.0))
        return torch.stack(filters)


@functools.lru_cache(maxsize=64)
def _spectra(bank: Bank, n: int) -> list[Tensor]:
    return bank._made(n)


@functools.cache
def _bounds(bank: Bank, n: int) -> tuple[float, float]:
    total = bank._low(_axes(n), bank.J) + _energy(bank.spectra(n))
    return float(total.min()), float(total.max())


def _axes(n: int) -> Tensor:
    """Frequencies (2, n, n) in the order of the FFT."""
    f = torch.fft.fftfreq(n, dtype=torch.float64)
    return torch.stack(torch.meshgrid(f, f, indexing="ij"))


def _nyquist_signs(n: int) -> Iterator[Tensor]:
    """The frequencies with each choice of the sign of one half on the axes."""
    f = torch.fft.fftfreq(n, dtype=torch.float64)
    for axes in itertools.product((f, torch.where(f == -0.5, 0.5, f)), repeat=2):
        yield torch.stack(torch.meshgrid(*axes, indexing="ij"))


def _energy(scales: list[Tensor]) -> Tensor:
    """Half the sum of ``|g(xi)|^2 + |g(-xi)|^2``."""
    total = torch.stack([(scale**2).sum(0) for scale in scales]).sum(0)
    return 0.5 * (total + torch.roll(total.flip(0, 1), (1, 1), (0, 1)))
