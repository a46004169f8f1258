"""Scattering of images, with kymatio's interface."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from scatter_theory.engine import restricted
from scatter_theory.scattering._base import Transform
from scatter_theory.scattering._checks import check_scale, choice, lengths, refuse_options, whole
from scatter_theory.scattering._orders import FilterOrder, both_signs, tightened
from scatter_theory.scattering._padding import MODES, Padding
from scatter_theory.scattering._plane_filters import plane_spectra, plane_wavelets
from scatter_theory.scattering._reductions import energetic
from scatter_theory.scattering._tree import Layout


class Scattering2D(Transform):
    r"""Scattering transform of images, with kymatio's arguments and coefficients.

    .. math:: S[q] x = |\,|x * \psi_{q_1}| * \cdots * \psi_{q_n}| * \phi_J

    for the paths q of orders 0..N along which the scale j increases, sampled at every ``2^J``-th pixel. Up to order 2
    the coefficients are those of ``kymatio.torch.Scattering2D`` 0.3.0, to single precision.

    Parameters
    ----------
    J : int
        Octaves: the longest wavelets have about ``2^J`` samples. At least 1, and ``2^J`` at most the shorter side.
    shape : (int, int)
        Pixels (M, N) of an image.
    L : int
        Directions over half a turn; the wavelets are designed for 8.
    max_order : int
        Highest order N >= 1. All orders have the same wavelets.
    pre_pad : bool
        Whether images are already padded: then `forward` takes them with `padded_shape`.
    backend : str
        ``"torch"``; there is no other.
    out_type : {"array", "list", "dict"}
        See `scattering`.
    padding : {"reflect", "zero", "constant", "periodic"}
        See `Padding`. All but ``"periodic"`` add pixels up to a multiple of ``2^J``, and cut the outermost coefficients
        off; a periodic image is taken as it is, and its sides must be multiples of the coarsest sampling.
    tight : bool
        Divide the filters by the root of their Littlewood-Paley sum; see `_orders`.
    oversampling : int
        Everything is sampled ``2^oversampling`` times more finely.
    dtype : torch.dtype
        ``torch.float32`` or ``torch.float64``.
    complex_input : bool
        Whether images are complex. Order 1 then has the wavelets ``0..F-1`` and their mirror images ``F..2F-1``, of
        directions theta + L, which see the opposite frequencies; the average of order 0 is complex.
    memory : int, optional
        Bytes that a pass may use beside the filters, as predicted; chunks are made smaller until it fits. Default: half
        of what is free on the device.
    **unknown
        Refused, those of kymatio with the reason.

    Attributes
    ----------
    padded_shape : (int, int)
        Pixels after padding.
    padding_amounts : tuple of (before, after)
        Pixels added, one pair per axis.

    Raises
    ------
    ValueError
        For arguments outside their range.
    TypeError
        For unknown arguments.

    References
    ----------
    M. Andreux et al., Kymatio: Scattering Transforms in Python, JMLR 21(60), 2020. J. Bruna and S. Mallat, Invariant
    Scattering Convolution Networks, IEEE Trans. Pattern Anal. Mach. Intell. 35(8), 2013.

    Examples
    --------
    >>> import torch
    >>> S = Scattering2D(J=2, shape=(32, 32))
    >>> S(torch.zeros(5, 3, 32, 32)).shape
    torch.Size([5, 3, 81, 8, 8])
    >>> S.meta()["theta"][[1, 80]]
    array([[ 0., nan],
           [ 7.,  7.]])
    """

    L: int
    pre_pad: bool

    def __init__(
        self,
        J: int,
        shape: tuple[int, int],
        L: int = 8,
        max_order: int = 2,
        pre_pad: bool = False,
        backend: str = "torch",
        out_type: str = "array",
        *,
        padding: str = "reflect",
        tight: bool = False,
        oversampling: int = 0,
        dtype: torch.dtype = torch.float32,
        complex_input: bool = False,
        memory: int | None = None,
        **unknown: Any,
    ) -> None:
        owner = "Scattering2D"
        refuse_options(owner, backend, unknown)
        J, L = whole(owner, "J", J, 1), whole(owner, "L", L, 1)
        max_order, oversampling = whole(owner, "max_order", max_order, 1), whole(owner, "oversampling", oversampling, 0)
        padding, shape = choice(owner, "padding", padding, MODES), lengths(owner, shape, 2)
        check_scale(owner, J, shape)
        level = max(J - oversampling, 0)
        periodic = padding == "periodic"
        if periodic:
            _check_periodic(shape, level, pre_pad)
        padded = shape if periodic else tuple((n // 2**J + 2) * 2**J for n in shape)
        amounts = tuple(((p - n) // 2, (p - n + 1) // 2) for n, p in zip(shape, padded, strict=True))
        whole_image = (slice(None),) * 2
        cut = [(slice(2 ** (J - k), -(2 ** (J - k))),) * 2 for k in range(J + 1)]
        wavelets = plane_wavelets(J, L)
        images = [replace(w, theta=w.theta + L, sign=-1) for w in wavelets] if complex_input else []
        super().__init__(
            padded if pre_pad else shape,
            [[*wavelets, *images]] + [wavelets] * (max_order - 1),
            Layout(
                shape=padded,
                finest=None,
                oversampling=oversampling,
                output_level=level,
                kept=(whole_image,) * (J + 1) if periodic else tuple(cut),
                reduced=energetic if tight else restricted,
            ),
            Padding(padding, ((0, 0),) * 2 if pre_pad else amounts),
            average=True,
            fields=("j", "theta", "xi", "sigma"),
            out_type=out_type,
            dtype=dtype,
            memory=memory,
            J=J,
            shape=shape,
            L=L,
            max_order=max_order,
            pre_pad=bool(pre_pad),
            padding=padding,
            tight=bool(tight),
            oversampling=oversampling,
            complex_input=bool(complex_input),
        )

    def _orders(self) -> list[FilterOrder]:
        spectra, low = plane_spectra(self.padded_shape, self.J, self.L)
        order = FilterOrder(spectra, np.array([w.j for w in plane_wavelets(self.J, self.L)]), low)
        order = tightened(order, "Scattering2D") if self.tight else order
        first = both_signs(order, tight=self.tight) if self.complex_input else order
        return [first] + [order] * (self.max_order - 1)

    def extra_repr(self) -> str:
        """What differs from one transform to another, for ``repr``."""
        return f"J={self.J}, shape={self.shape}, L={self.L}, max_order={self.max_order}, padding={self.padding!r}"


def _check_periodic(shape: tuple[int, ...], level: int, pre_pad: bool) -> None:
    if pre_pad:
        raise ValueError("`Scattering2D(pre_pad=True, padding='periodic')`: contradictory. Leave `pre_pad` out.")
    if any(n % 2**level for n in shape):
        raise ValueError(
            f"`Scattering2D(padding='periodic')`: the sides of {shape} are no multiples of 2^{level}, the coarsest "
            "sampling. Use another shape, a smaller J, oversampling, or another padding."
        )
