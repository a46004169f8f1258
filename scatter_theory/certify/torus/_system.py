r"""The matrices of a network and one displacement, and what numbers and weights prove with them.

The recursion of `_block_recursion` is a statement about infinite matrices. On the line, for trigonometric
displacements, they are cut off at a frequency K, and what is lost, :math:`\varepsilon` of `_warp_matrix.cut_off`, is
added in full. The form of layer n is :math:`V^*(1 + W Z W^*)V + aG` with :math:`V = (\chi(F - 1), \sqrt
b\,[g_\lambda, F])_\lambda`, :math:`W = (\chi, \sqrt b\,g_\lambda)_\lambda`, :math:`Z = (b_n - Y)^{-1}`, and
:math:`\|1 + W Z W^*\| = \nu = \sup b_n/(b_n - Y)`. Hence, with :math:`a'` the value for the matrices,

.. math:: a_n = \big( a'^{1/2} + (\max(1, b_{n+1})\,\nu)^{1/2}\,\varepsilon \big)^2 ,

and :math:`\max(1, b_1)^{1/2}\varepsilon` is added to the root. Elsewhere (images, displacements of other kinds) nothing
is known of what the cut-off leaves out, and no value is certified.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from scatter_theory.certify._flags import non_negative
from scatter_theory.certify.torus._block_recursion import Stage, layer_gains, stage
from scatter_theory.certify.torus._lattice import constant_from, lattice
from scatter_theory.certify.torus._positive_form import PositiveForm, largest
from scatter_theory.certify.torus._warp_matrix import cut_off, warp_matrix
from scatter_theory.deform import Field
from scatter_theory.network import FeatureExtractor

#: Rounding of the entries of the matrices, per row.
_ENTRIES = 1e-15
#: Rounding of the entries of the forms, per row and unit of the filters' sums of squares.
_FORMS = 4e-15
#: A low-pass that is smaller at the highest frequencies counts as 0 there.
_VANISHING = 1e-15
#: What a cut-off on the line may leave out before it is raised, and how far it is raised.
SMALL, _FARTHEST = 1e-7, 8
#: Largest number of frequencies that are kept.
MOST = 2200
#: Shifts per sample and axis, and the most per axis.
_FINER, _SHIFTS = 2, {1: 512, 2: 24, 3: 8}

Weights = Sequence[Mapping[int, float] | None]


class System:
    """The matrices of a network and a displacement, and what follows from them.

    Parameters
    ----------
    phi : FeatureExtractor
    field : Field
        One displacement, batch ``()``, with the periods of the grid.
    degrees : sequence of int, optional
        Frequencies that are kept; default: as few as lose less than `SMALL` on the line, those of the grid elsewhere.

    Raises
    ------
    ValueError
        For batches of displacements, other periods, or more than `MOST` frequencies.
    """

    def __init__(self, phi: FeatureExtractor, field: Field, degrees: Sequence[int] | None = None) -> None:
        if field.batch:
            raise ValueError(
                f"`network_bound(field=...)`: got a batch {field.batch} of displacements, expected one; take one with "
                "`field.select(i)`."
            )
        phi.grid.check_extent(field.extent, "network_bound", "field")
        self.phi, self.field, self.depth = phi, field, phi.depth
        self.flat = max(max(constant_from(bank)) for bank in phi.banks)
        probe = [lattice(bank, [self.flat + 1] * phi.grid.ndim) for bank in phi.banks]
        self._changes = max(_largest_change(p.all if n < phi.depth else p.output[None]) for n, p in enumerate(probe))
        self._total = max(float(p.all.abs().square().sum(0).max()) for p in probe)
        # A low-pass that does not vanish at the highest frequencies is cut off there, and the difference is added.
        self._leak = max(float(p.output.abs().flatten()[[0, -1]].max()) for p in probe) if phi.grid.ndim == 1 else 0.0
        self.degrees = tuple(degrees) if degrees is not None else self._enough()
        size = math.prod(2 * K + 1 for K in self.degrees)
        if size > MOST:
            raise ValueError(
                f"`network_bound(phi=...)`: {size} frequencies are needed, at most {MOST} can be handled. Use a "
                "coarser grid."
            )
        self.lost = self._lost(self.degrees)
        self.F = warp_matrix(field, self.degrees).cpu()
        self.change = _real_basis(self.degrees) if not phi.complex_input else None
        self.filters = []
        for n, bank in enumerate(phi.banks):
            filters = lattice(bank, self.degrees)
            factor = phi.layer_constant(n + 1).value if n < phi.depth else 1.0
            self.filters.append(replace(filters, output=filters.output.cpu(), atoms=factor * filters.atoms.cpu()))
        stages = [stage(filters, self.F, last=n == phi.depth) for n, filters in enumerate(self.filters)]
        self.stages = [_in_basis(s, self.change) for s in stages]
        self.positive = [non_negative(phi, n).satisfied for n in range(1, phi.depth + 1)]
        shape = tuple(min(_FINER * n, _SHIFTS[phi.grid.ndim]) for n in phi.grid.shape)
        self.planes = [PositiveForm(self.frequencies, shape) for _ in self.positive]

    @property
    def frequencies(self) -> np.ndarray:
        """Frequencies of the rows, ``(d, n)``."""
        axes = np.meshgrid(*(np.arange(-K, K + 1) for K in self.degrees), indexing="ij")
        return np.stack([a.ravel() for a in axes])

    def _enough(self) -> tuple[int, ...]:
        M = [(n - 1) // 2 for n in self.phi.grid.shape]
        if len(M) > 1:
            return tuple(M)
        K = first = max(M[0], self.flat)
        while SMALL < self._cut(K) < math.inf and K < _FARTHEST * first:
            K = math.ceil(1.1 * K)
        return (K,)

    def _cut(self, K: int) -> float:
        return cut_off(self.field, K, max(self.flat, 1), self._changes, 4 * self._total)

    def _lost(self, degrees: Sequence[int]) -> float:
        if len(degrees) > 1:
            return math.inf
        leak = 0.0
        if self._leak > _VANISHING:
            D = float(self.field.norms().jacobian.upper)
            leak = self._leak * (1 + (1 - D) ** -0.5) if D < 1 else math.inf
        return self._cut(degrees[0]) + leak + _ENTRIES * (2 * degrees[0] + 1) * math.sqrt(4 * self._total)

    # ------------------------------------------------------------------ evaluation

    def gains(self, b: Sequence[float], weights: Weights) -> list[float]:
        """The numbers a_1..a_N that given numbers b_1..b_N and weights prove.

        Raises
        ------
        ValueError
            For numbers b that are too small, or weights where maps may correlate negatively.
        """
        if len(b) != self.depth or len(weights) != self.depth:
            raise ValueError(f"`System.gains(b=...)`: got {len(b)} numbers, the network has {self.depth} layers.")
        if any(w is not None and not ok for w, ok in zip(weights, self.positive, strict=True)):
            raise ValueError("`System.gains(weights=...)`: weights are given for a layer whose maps may be negative.")
        numbers = [w for table in weights if table is not None for w in table.values()]
        if not all(math.isfinite(w) and w >= 0 for w in numbers):
            raise ValueError("`System.gains(weights=...)`: weights must be finite and not negative.")

        def supremum(n: int, form: Tensor, tail: float) -> float:
            table = weights[n - 1]
            if table is None:
                return self.with_lost(n, largest(form, tail), b)
            dense = np.zeros(len(self.planes[n - 1].shifts))
            for place, w in table.items():
                dense[place] = w
            return self.with_lost(n, self.planes[n - 1].proven(form, tail, dense)[0], b)

        return layer_gains(self.stages, b, supremum)

    def with_lost(self, n: int, value: float, b: Sequence[float]) -> float:
        """The gain of layer n with what rounding and, where that is known, the cut-off leave out."""
        after = b[n] if n < self.depth else 0.0
        value = value + self._rounding(after)
        if not math.isfinite(self.lost):
            return value
        nu = b[n - 1] / (b[n - 1] - self.stages[n].least(after))
        return (math.sqrt(max(value, 0.0)) + math.sqrt(max(1.0, after) * nu) * self.lost) ** 2

    def inside(self, radius: float) -> Tensor:
        """Which frequencies have at most this length, in cycles per unit, ``(n,)``."""
        extent = np.array(self.phi.grid.extent)[:, None]
        length = np.sqrt(((self.frequencies / extent) ** 2).sum(0))
        return torch.from_numpy(length <= radius * (1 + 1e-12))

    def value(self, a: float, b: float, radius: float) -> float:
        """Bound for all signals of norm 1 with frequencies up to a radius, from a_1 and b_1."""
        form, kept = self.stages[0].root(a, b), self.inside(radius)
        tail = 0.0 if math.isfinite(radius) else a * float(self.stages[0].high.max())
        return math.sqrt(max(largest(form[kept][:, kept], tail), 0.0) + self._rounding(b)) + self._root_loss(b)

    def value_of(self, a: float, b: float, coefficients: Tensor) -> float:
        """Bound for the signal with these coefficients ``(*box)``, not divided by its norm."""
        u = self._vector(coefficients)
        form = self.stages[0].root(a, b)
        norm = float(torch.linalg.vector_norm(u))
        value = max(float(torch.vdot(u, form.to(u.dtype) @ u).real), 0.0) + self._rounding(b) * norm**2
        return math.sqrt(math.prod(self.phi.grid.extent)) * (math.sqrt(value) + self._root_loss(b) * norm)

    def worst(self, a: float, b: float, radius: float) -> Tensor:
        """Coefficients ``(*box)`` of the signal of norm 1 at which the form at the root is largest."""
        kept = self.inside(radius)
        _, vectors = torch.linalg.eigh(self.stages[0].root(a, b)[kept][:, kept])
        u = torch.zeros(len(kept), dtype=torch.complex128)
        u[kept] = vectors[:, -1].to(torch.complex128)
        u = u if self.change is None else self.change @ u
        return u.reshape([2 * K + 1 for K in self.degrees]) / math.sqrt(math.prod(self.phi.grid.extent))

    def _rounding(self, b: float) -> float:
        return _FORMS * len(self.F) * self._total * (1 + b)

    def _root_loss(self, b: float) -> float:
        return math.sqrt(max(1.0, b)) * self.lost if math.isfinite(self.lost) else 0.0

    def _vector(self, coefficients: Tensor) -> Tensor:
        c = coefficients.detach().cpu().to(torch.complex128)
        for axis, K in enumerate(self.degrees):
            M = c.shape[axis] // 2
            if M > K:
                outer = torch.cat([c.narrow(axis, 0, M - K), c.narrow(axis, M + K + 1, M - K)], axis)
                if bool(outer.abs().max() > 0):
                    raise ValueError(f"`System.value_of`: the signal has frequency {M}, the matrices end at {K}.")
                c = c.narrow(axis, M - K, 2 * K + 1)
            else:
                c = torch.nn.functional.pad(c, [0, 0] * (c.ndim - 1 - axis) + [K - M, K - M])
        u = c.flatten()
        return u if self.change is None else self.change.mH @ u


def _largest_change(filters: Tensor) -> float:
    r"""Largest :math:`\sum_a |a(j) - a(k)|^2` with k at the last frequency of one of the sides (d = 1)."""
    flat = filters.flatten(1)
    ends = [flat[:, :1], flat[:, -1:]]
    return max(float((flat - end).abs().square().sum(0).max()) for end in ends) * (1 + 1e-12)


def _real_basis(degrees: Sequence[int]) -> Tensor:
    """Unitary matrix whose columns are cosines, the constant, and sines, in the places of -k and k."""
    n = math.prod(2 * K + 1 for K in degrees)
    U = torch.zeros((n, n), dtype=torch.complex128)
    half, middle = math.sqrt(0.5), n // 2
    low = torch.arange(middle)
    high = n - 1 - low
    U[low, low] = U[high, low] = half
    U[low, high], U[high, high] = half * 1j, -half * 1j
    U[middle, middle] = 1.0
    return U


def _in_basis(s: Stage, change: Tensor | None) -> Stage:
    """The forms in another basis, as real matrices where they are real."""
    if change is None:
        return s
    names = ("moved", "commutators", "cross_low", "cross_high")
    moved = {name: change.mH @ getattr(s, name) @ change for name in names}
    sizes = max(float(m.abs().max()) for m in moved.values())
    if not all(float(m.imag.abs().max()) <= 1e-13 * max(sizes, 1.0) for m in moved.values()):
        return replace(s, **moved)
    return replace(s, **{name: m.real.contiguous() for name, m in moved.items()})
