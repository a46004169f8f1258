r"""Undecimated (à trous) wavelets from filter taps, in any number of dimensions.

With the transfer functions :math:`H(\xi) = \sum_n h_n e^{-2\pi i n \xi}`, :math:`H(0) = 1`, and G,

.. math:: \hat\chi = \prod_{j<J} H(2^j \xi), \qquad \hat g_j = G(2^j \xi) \prod_{i<j} H(2^i \xi);

in several dimensions the low-pass is the product over the axes, and level j has the :math:`2^d - 1` products of
:math:`H(2^j \xi_i)` and :math:`G(2^j \xi_i)` that contain a G.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Atom, Bank, FrameBounds
from scatter_theory.frames._base import Frame, Sided, check_dimension
from scatter_theory.frames._scale import check_scale, resolve_scale
from scatter_theory.grid import Grid


@lru_cache(maxsize=128)
def taps_of(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Low-pass and high-pass analysis taps of PyWavelets, divided by sqrt(2).

    Raises
    ------
    ValueError
        For a name that PyWavelets does not know.
    """
    import pywt

    known = pywt.wavelist(kind="discrete")
    if name not in known:
        close = difflib.get_close_matches(str(name), known, n=3)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ValueError(
            f"`Taps(name=...)`: got {name!r}, expected one of the {len(known)} discrete wavelets of PyWavelets, such "
            f"as 'haar', 'db4', 'sym8', 'coif2', 'bior4.4', 'dmey'.{hint}"
        )
    wavelet = pywt.Wavelet(name)
    low, high = (tuple(t / math.sqrt(2.0) for t in taps) for taps in (wavelet.dec_lo, wavelet.dec_hi))
    return low, high


def roots_of_unity(n: int) -> Tensor:
    """The values ``exp(-2 pi i k / n)``, ``(n,)``, exactly Hermitian: real at 0 and at n / 2."""
    k = torch.arange(n)
    folded = torch.minimum(k, n - k)
    angle = (2 * math.pi / n) * folded.double()
    sine = torch.where(2 * folded == n, 0.0, torch.sin(angle))
    cosine = torch.where(2 * folded == n, -1.0, torch.cos(angle))
    return torch.complex(cosine, torch.where(k == folded, -sine, sine))


def transfer(taps: Sequence[float], n: int, factor: float) -> Tensor:
    """Transfer function at ``factor k / n``, k in ``fftfreq`` order, ``(n,)``, exactly Hermitian.

    A whole factor is reduced modulo n, so that taps longer than n wrap without rounding. Otherwise the frequencies are
    not periodic on the grid; the Nyquist bin then carries the modulus.
    """
    total = torch.zeros(n, dtype=torch.complex128)
    if float(factor).is_integer():
        roots, index = roots_of_unity(n), int(factor) * torch.arange(n)
        for m, tap in enumerate(taps):
            total = total + tap * roots[(m * index) % n]
        return total
    angle = 2 * math.pi * factor * torch.fft.fftfreq(n, dtype=torch.float64)
    for m, tap in enumerate(taps):
        total = total + tap * torch.complex(torch.cos(m * angle), -torch.sin(m * angle))
    if n % 2 == 0:
        total[n // 2] = total[n // 2].abs()
    return total


@dataclass(frozen=True, repr=False)
class Taps(Frame):
    r"""Undecimated wavelets from the taps of an orthogonal or biorthogonal wavelet of PyWavelets; real, any d.

    Orthogonal taps give A = B = 1 up to the precision of the stored taps (1e-14 for Daubechies and coiflets, up to
    6e-11 for symlets); biorthogonal ones are frames. On a grid of ``2^m`` times the reference rate m finer levels are
    added: the bank is that of ``J + m`` levels. Filters longer than the grid wrap.

    Parameters
    ----------
    name : str
        Name in PyWavelets: ``"haar"``, ``"db2"``, ``"sym8"``, ``"coif1"``, ``"bior4.4"``, ``"rbio6.8"``, ``"dmey"``.
    J : int, optional
        Levels.
    cutoff : float, optional
        Nominal edge ``2^-(J+1)`` of the low-pass, in cycles per unit, instead of J.

    Raises
    ------
    ValueError
        For an unknown name, or J too large for the grid.

    Examples
    --------
    >>> from scatter_theory import Grid
    >>> A, B = Taps("bior4.4", J=4).on(Grid.line(255)).bounds()
    >>> round(A, 3), round(B, 3)
    (0.842, 1.106)
    """

    name: str
    J: int | None = None
    cutoff: float | None = None

    def __post_init__(self) -> None:
        check_scale("Taps", self.J, self.cutoff)
        taps_of(self.name)

    @classmethod
    def example(cls, d: int) -> Taps:
        """One level of Daubechies' four taps; see `Frame.example`."""
        check_dimension("Taps.example", d, cls.dims)
        return cls("db2", J=1)

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid`, fine to coarse; see `Frame.on`."""
        J, unit = resolve_scale(self.J, self.cutoff, reference or grid)
        rates = [u / h for u, h in zip(unit, grid.spacing, strict=True)]
        finer = math.ceil(math.log2(max(rates)) - 1e-9)
        low, high = taps_of(self.name)
        d = grid.ndim
        product = torch.ones(grid.shape, dtype=torch.complex128)
        atoms, spectra = [], []
        for j in range(-finer, J):
            factors = [_snapped(2.0**j * p) for p in rates]
            values = [
                [transfer(t, n, f).reshape([-1 if a == i else 1 for a in range(d)]) for t in (low, high)]
                for i, (n, f) in enumerate(zip(grid.shape, factors, strict=True))
            ]
            for kind in itertools.product((0, 1), repeat=d):
                if any(kind):
                    atoms.append(_label(j, kind, unit))
                    spectra.append(math.prod((v[k] for v, k in zip(values, kind, strict=True)), start=product))
            product = math.prod((v[0] for v in values), start=product)
        stacked = torch.stack([*spectra, product])
        stacked = 0.5 * (stacked + grid.mirror(stacked).conj())
        return Bank(grid, tuple(atoms), stacked[:-1], stacked[-1], "real", repr(self))

    def bounds(self, d: int = 1) -> FrameBounds:
        """Certified bounds over all frequencies of J levels: of every grid at the reference rate, whatever its length.

        The grid of a dilated layer has more levels: ask ``Taps(name, J + m)``.

        Raises
        ------
        NotImplementedError
            With `cutoff`, or if the polynomial has too high a degree for an enclosure in d dimensions.
        """
        from scatter_theory.frames._polynomial import taps_bounds

        check_dimension("Taps.bounds", d, self.dims)
        if self.J is None:
            raise NotImplementedError(
                "`Taps.bounds()`: with `cutoff=` the number of levels depends on the grid. Give `J=`, or ask the bank, "
                "`frame.on(grid).bounds()`, which is exact on that grid."
            )
        return taps_bounds(self.name, self.J, d)

    def decay_constant(self, d: int = 1) -> Constant:
        """Certified K of the low-pass of J levels at the reference rate; with `cutoff` an estimate."""
        from scatter_theory.frames._polynomial import taps_decay

        check_dimension("Taps.decay_constant", d, self.dims)
        return super().decay_constant(d) if self.J is None else taps_decay(self.name, self.J, d)


def _snapped(factor: float) -> float:
    """The nearest whole number if `factor` is one up to rounding."""
    whole = round(factor)
    return float(whole) if whole and abs(factor - whole) <= 1e-12 * whole else factor


def _label(j: int, kind: tuple[int, ...], unit: Sequence[float]) -> Atom:
    centre = tuple(0.375 * 2.0**-j * k / u for k, u in zip(kind, unit, strict=True))
    directed = len(kind) == 2 and kind != (1, 1)
    name = f"j={j}" if len(kind) == 1 else f"j={j} " + "".join("LH"[k] for k in kind)
    return Atom(name, float(j + 1), centre, math.atan2(centre[1], centre[0]) if directed else None, real=True)
