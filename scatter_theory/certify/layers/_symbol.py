r"""The symbol of a strided convolution on the torus: one matrix per frequency of the coarse grid.

Let s be the stride and block the fine grid into :math:`s^d` phases, so that the sample at :math:`s x + r` becomes
component r of a vector at x. A tap at position :math:`\delta t - p` (dilation :math:`\delta`, padding p) is
:math:`s a + r` with one a and one phase r. The layer is then an ordinary convolution of vectors on the coarse grid m,

.. math:: y(x) = \sum_a E_a \, u(x + a), \qquad
          T(q) = \sum_a E_a \, e^{2\pi i \langle a, q / m \rangle}, \quad q \in \mathbb Z_m^d ,

and since blocking and the DFT are unitary, it is unitarily equivalent to the direct sum of the matrices T(q):
coarse channels times (fine channels times :math:`s^d`), block diagonal in the groups. For stride 1 this is the symbol
of Sedghi, Gupta and Long (2019); for larger strides it is equivalent, frequency by frequency, to placing the symbols at
the :math:`s^d` aliases of a coarse frequency side by side. Taps beyond the grid wrap by themselves.

The transpose has the symbol :math:`\sum_a E_a^T e^{-2\pi i \langle a, q/m\rangle}`. Real weights give
:math:`T(-q) = \overline{T(q)}`: one of each pair of frequencies is enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.certify.layers._reading import ConvLayer
from scatter_theory.frames._taps import roots_of_unity

EPS = torch.finfo(torch.float64).eps
#: Bytes of symbols that are in memory at a time; the matrices made from them take about three times as much.
CHUNK = 1 << 25


@dataclass(frozen=True, eq=False)
class Symbol:
    """The matrices T(q) of an operator, rows by columns, from the output back to the input.

    Parameters
    ----------
    offsets : (taps, d) tensor
        int64.
    taps : (taps, groups, rows, columns) tensor
        float64 or complex128.
    coarse, stride : tuple of int
    transposed : bool
        Whether the rows, not the columns, belong to the fine grid.
    """

    offsets: Tensor
    taps: Tensor
    coarse: tuple[int, ...]
    stride: tuple[int, ...]
    transposed: bool

    @property
    def real(self) -> bool:
        """Whether real signals stay real."""
        return not self.taps.is_complex()

    @property
    def domain(self) -> tuple[int, ...]:
        """Shape (channels, *grid) of the signals that enter."""
        groups, columns = self.taps.shape[1], self.taps.shape[3]
        phases = 1 if self.transposed else math.prod(self.stride)
        steps = (1,) * len(self.coarse) if self.transposed else self.stride
        return (groups * columns // phases, *(s * m for s, m in zip(steps, self.coarse, strict=True)))

    def frequencies(self) -> Tensor:
        """Coarse frequencies q, ``(n, d)``; one of each pair q, -q for real weights."""
        m = torch.tensor(self.coarse, dtype=torch.int64)
        flat = torch.arange(math.prod(self.coarse))
        q = torch.stack(torch.unravel_index(flat, self.coarse), 1) if self.coarse else torch.zeros(1, 0).long()
        if not self.real or not self.coarse:
            return q
        weights = torch.tensor([math.prod(self.coarse[i + 1 :]) for i in range(len(self.coarse))])
        return q[((-q) % m) @ weights >= flat]

    def at(self, q: Tensor) -> Tensor:
        """Matrices at frequencies ``(n, d)``: ``(n, groups, rows, columns)``, complex128."""
        phases = torch.ones(len(q), len(self.offsets), dtype=torch.complex128)
        for axis, m in enumerate(self.coarse):
            phases *= roots_of_unity(m).conj()[(q[:, axis, None] * self.offsets[:, axis]) % m]
        flat = self.taps.flatten(1)
        total = torch.complex(phases.real @ flat, phases.imag @ flat) if self.real else phases @ flat
        return total.reshape(len(q), *self.taps.shape[1:])

    def chunks(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Frequencies and their matrices, as many at a time as fit `CHUNK` bytes; at least one."""
        step = max(1, CHUNK // (16 * self.taps[0].numel()))
        for q in self.frequencies().split(step):
            yield q, self.at(q)

    def rounding(self, norm: float) -> float:
        r"""What rounding may change in a squared singular value, if the largest singular value is `norm`.

        A sum of T products is rounded by at most :math:`(T + 4) \epsilon \sum_a |E_a|` per entry, so that the matrices
        are known to :math:`\delta = (T + 4) \epsilon \sum_a \|E_a\|_F`, and squares to :math:`2 \|T\| \delta +
        \delta^2`. The eigenvalue routine adds an error of the size of :math:`\epsilon \|T\|^2`; its factor is taken as
        four times rows plus columns, which is customary and far more than what is measured, but not a theorem.
        """
        n_taps, _, rows, columns = self.taps.shape
        size = float(torch.linalg.vector_norm(self.taps, dim=(-2, -1)).amax(1).sum())
        delta = (n_taps + 4) * EPS * size
        return 2 * norm * delta + delta**2 + 4 * (rows + columns) * EPS * norm**2

    def signal(self, q: tuple[int, ...], group: int, vector: Tensor) -> Tensor:
        """Signal of norm 1, ``domain``, that T(q) of one group sees as `vector`; real for real weights."""
        wave = torch.ones(self.coarse, dtype=torch.complex128)
        for axis, (k, m) in enumerate(zip(q, self.coarse, strict=True)):
            values = roots_of_unity(m).conj()[(k * torch.arange(m)) % m]
            wave = wave * values.reshape([-1 if a == axis else 1 for a in range(len(self.coarse))])
        blocks = torch.zeros(self.taps.shape[1], self.taps.shape[3], *self.coarse, dtype=torch.complex128)
        blocks[group] = vector.reshape(-1, *(1,) * wave.ndim) * wave
        found = blocks.flatten(0, 1) if self.transposed else _interleaved(blocks.flatten(0, 1), self.stride)
        if self.real:
            found = max(found.real, found.imag, key=torch.linalg.vector_norm)
        return found / torch.linalg.vector_norm(found)


def symbol_of(layer: ConvLayer, coarse: tuple[int, ...]) -> Symbol:
    """The symbol of the circular operator with the layer's weights on the torus with this coarse grid."""
    kernel, d = layer.weight.shape[2:], layer.ndim
    index = torch.cartesian_prod(*map(torch.arange, kernel)).reshape(-1, d) if d else torch.zeros(1, 0).long()
    stride, dilation, left = (torch.tensor(t, dtype=torch.int64) for t in (layer.stride, layer.dilation, layer.left))
    position = index * dilation - left
    offset = torch.div(position, stride, rounding_mode="floor")
    phase = position - offset * stride
    weights = torch.tensor([math.prod(layer.stride[i + 1 :]) for i in range(d)], dtype=torch.int64)
    offsets, inverse = torch.unique(offset, dim=0, return_inverse=True) if d else (offset, torch.zeros(1).long())
    out, inner = layer.weight.shape[:2]
    values = layer.weight.reshape(layer.groups, out // layer.groups, inner, -1)
    taps = values.new_zeros(len(offsets), math.prod(layer.stride), *values.shape[:3])
    taps[inverse, phase @ weights] = values.permute(3, 0, 1, 2)
    taps = taps.permute(0, 2, 3, 4, 1).flatten(3)
    if layer.transposed:
        return Symbol(-offsets, taps.mT.contiguous(), coarse, layer.stride, True)
    return Symbol(offsets, taps.contiguous(), coarse, layer.stride, False)


def least_degree(layer: ConvLayer) -> tuple[int, ...]:
    """Degree of the entries of T*T in the coarse frequency, with the padding that makes it least: reach // stride.

    Another padding multiplies T(q) by unitary matrices, and changes no singular value.
    """
    return tuple(r // s for r, s in zip(layer.reach, layer.stride, strict=True))


def _interleaved(blocks: Tensor, stride: tuple[int, ...]) -> Tensor:
    """Components ``(channels * phases, *coarse)`` as signals ``(channels, *fine)``."""
    coarse, d = blocks.shape[1:], len(stride)
    split = blocks.reshape(-1, *stride, *coarse)
    order = [0, *(axis for i in range(d) for axis in (1 + d + i, 1 + i))]
    return split.permute(order).reshape(-1, *(s * m for s, m in zip(stride, coarse, strict=True)))
