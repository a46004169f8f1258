"""Scattering of signals on a line, with kymatio's interface."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
import torch

from scatter_theory.scattering._base import Transform
from scatter_theory.scattering._checks import check_scale, choice, lengths, refuse_options, whole
from scatter_theory.scattering._line_filters import SIGMA_LOW, line_spectrum, line_wavelets
from scatter_theory.scattering._line_geometry import averaging, borders, padded_length
from scatter_theory.scattering._orders import FilterOrder, both_signs, tightened
from scatter_theory.scattering._padding import MODES, Padding
from scatter_theory.scattering._reductions import energetic, folded
from scatter_theory.scattering._tree import Layout
from scatter_theory.scattering._wavelets import Wavelet


class Scattering1D(Transform):
    r"""Scattering transform of signals on a line, with kymatio's arguments and coefficients.

    .. math:: S[q] x = |\,|x * \psi_{q_1}| * \cdots * \psi_{q_n}| * \phi_T

    for the paths q of orders 0..N along which the scale j increases, sampled at every ``2^floor(log2 T)``-th sample.
    Up to order 2 the coefficients are those of ``kymatio.torch.Scattering1D`` 0.3.0, to single precision.

    Parameters
    ----------
    J : int
        Octaves: the longest wavelets have about ``2^J`` samples. At least 0, and ``2^J <= N``.
    shape : int or (int,)
        Samples N of a signal.
    Q : int or tuple of int
        Wavelets per octave, of order 1 or of orders 1, 2, ...; a single number is followed by 1, and the last one
        holds for all orders beyond.
    T : real number, optional
        Samples over which the moduli are averaged, from 1 to N; 0 for no averaging. Default: ``2^J``.
    max_order : int
        Highest order N >= 1.
    average : bool, optional
        Deprecated in favour of ``T=0``.
    oversampling : int
        Everything is sampled ``2^oversampling`` times more finely.
    out_type : {"array", "list", "dict"}
        See `scattering`. Without averaging ``"list"`` or ``"dict"``.
    backend : str
        ``"torch"``; there is no other.
    padding : {"reflect", "zero", "constant", "periodic"}
        See `Padding`. All but ``"periodic"`` add samples up to a power of two; a periodic signal is taken as it is,
        and its length must be a multiple of the coarsest sampling.
    tight : bool
        Divide the filters of each order by the root of their Littlewood-Paley sum (see `_orders`), and do not divide
        them by powers of two on coarser grids, as kymatio does.
    dtype : torch.dtype
        ``torch.float32`` or ``torch.float64``.
    complex_input : bool
        Whether signals are complex. Order 1 then has the wavelets ``0..F-1`` and their mirror images ``F..2F-1``, which
        see the frequencies of the other sign; the average of order 0 is complex.
    memory : int, optional
        Bytes that a pass may use beside the filters, as predicted; chunks are made smaller until it fits. Default: half
        of what is free on the device.
    **unknown
        Refused, those of kymatio with the reason.

    Attributes
    ----------
    log2_T : int
        ``floor(log2 T)``.
    pad_left, pad_right : int
        Samples added.
    ind_start, ind_end : dict of int
        Borders of the signal among every ``2^k``-th padded sample, by level k.
    padded_shape : (int,)
        Samples after padding.

    Raises
    ------
    ValueError
        For arguments outside their range.
    TypeError
        For unknown arguments.

    Warns
    -----
    UserWarning
        If the low-pass does not decay within the signal, so that averages reach beyond the padding.

    References
    ----------
    M. Andreux et al., Kymatio: Scattering Transforms in Python, JMLR 21(60), 2020. J. Anden and S. Mallat, Deep
    Scattering Spectrum, IEEE Trans. Signal Process. 62(16), 2014.

    Examples
    --------
    >>> import torch
    >>> S = Scattering1D(J=6, shape=1024, Q=8)
    >>> S(torch.zeros(2, 3, 1024)).shape
    torch.Size([2, 3, 126, 16])
    >>> S.output_size(detail=True)
    [1, 38, 87]
    """

    Q: tuple[int, ...]
    T: float
    log2_T: int
    pad_left: int
    pad_right: int
    ind_start: dict[int, int]
    ind_end: dict[int, int]

    def __init__(
        self,
        J: int,
        shape: int | tuple[int],
        Q: int | tuple[int, ...] = 1,
        T: float | None = None,
        max_order: int = 2,
        average: bool | None = None,
        oversampling: int = 0,
        out_type: str = "array",
        backend: str = "torch",
        *,
        padding: str = "reflect",
        tight: bool = False,
        dtype: torch.dtype = torch.float32,
        complex_input: bool = False,
        memory: int | None = None,
        **unknown: Any,
    ) -> None:
        owner = "Scattering1D"
        refuse_options(owner, backend, unknown)
        J, max_order = whole(owner, "J", J, 0), whole(owner, "max_order", max_order, 1)
        oversampling, padding = whole(owner, "oversampling", oversampling, 0), choice(owner, "padding", padding, MODES)
        (n,) = shape = lengths(owner, shape, 1)
        check_scale(owner, J, shape)
        Q = _per_order(Q, max_order)
        T, average = averaging(J, n, T, average)
        log2_T = math.floor(math.log2(T))
        wavelets = [line_wavelets(J, q) for q in Q[:max_order]]
        if complex_input:
            wavelets[0] += [Wavelet(-w.xi, w.sigma, w.j, sign=-1) for w in wavelets[0]]
        total = n if padding == "periodic" else padded_length(n, T)
        left = (total - n) // 2
        start, end = borders(left, left + n, max(log2_T, J))
        coarsest = log2_T if average else max((w.j for ws in wavelets for w in ws), default=0)
        coarsest = max(coarsest - oversampling, 0)
        _check_divisible(total, coarsest)
        super().__init__(
            shape,
            wavelets,
            Layout(
                shape=(total,),
                finest=log2_T if average else None,
                oversampling=oversampling,
                output_level=coarsest if average else None,
                kept=tuple((slice(start[k], end[k]),) for k in start),
                reduced=energetic if tight else folded,
            ),
            Padding(padding, ((left, total - n - left),)),
            average=average,
            fields=("xi", "sigma", "j"),
            out_type=out_type,
            dtype=dtype,
            memory=memory,
            J=J,
            shape=shape,
            Q=Q,
            T=T,
            log2_T=log2_T,
            max_order=max_order,
            oversampling=oversampling,
            padding=padding,
            tight=bool(tight),
            complex_input=bool(complex_input),
            pad_left=left,
            pad_right=total - n - left,
            ind_start=start,
            ind_end=end,
        )

    def _orders(self) -> list[FilterOrder]:
        (n,) = self.padded_shape
        low = line_spectrum(n, 0.0, SIGMA_LOW / self.T)
        made: dict[int, FilterOrder] = {}
        for q in set(self.Q[: self.max_order]):
            ws = line_wavelets(self.J, q)
            spectra = np.empty((len(ws), n))
            for row, w in zip(spectra, ws, strict=True):
                row[:] = line_spectrum(n, w.xi, w.sigma)
            order = FilterOrder(spectra, np.array([w.j for w in ws]), low)
            made[q] = tightened(order, "Scattering1D") if self.tight else order
        orders = [made[q] for q in self.Q[: self.max_order]]
        if self.complex_input:
            orders[0] = both_signs(orders[0], tight=self.tight)
        return orders

    def extra_repr(self) -> str:
        """What differs from one transform to another, for ``repr``."""
        T = self.T if self.average else 0
        return (
            f"J={self.J}, shape={self.shape}, Q={self.Q}, T={T}, max_order={self.max_order}, padding={self.padding!r}"
        )


def _per_order(Q: Any, max_order: int) -> tuple[int, ...]:
    """Wavelets per octave of orders 1, 2, ..., at least of two."""
    wanted = max(max_order, 2)
    given = (Q,) if isinstance(Q, Integral) and not isinstance(Q, bool) else Q
    whole_numbers = isinstance(given, tuple) and all(isinstance(q, Integral) and not isinstance(q, bool) for q in given)
    if not whole_numbers or not 1 <= len(given) <= wanted or any(q < 1 for q in given):
        raise ValueError(
            f"`Scattering1D(Q={Q!r})`: expected a whole number >= 1 of wavelets per octave, or a tuple of 1 to "
            f"{wanted} of them, one per order, with max_order={max_order}."
        )
    given = tuple(map(int, given)) + ((1,) if len(given) == 1 else ())
    return given + given[-1:] * (wanted - len(given))


def _check_divisible(n: int, level: int) -> None:
    if n % 2**level:
        raise ValueError(
            f"`Scattering1D(padding='periodic')`: {n} samples are no multiple of 2^{level}, the coarsest sampling. Use "
            "another length, a smaller T or J, oversampling, or another padding."
        )
