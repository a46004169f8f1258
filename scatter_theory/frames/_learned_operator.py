r"""A learned convolution with several channels and strides whose singular values stay in a range by construction.

On the torus a strided convolution is, up to unitary maps, one matrix T(q) per frequency q of the coarse grid (see
``docs/theory/trained_networks.md``). Each is replaced by a matrix made from it whose singular values are in the range
(see `_learned_symbol`), so that the guarantee holds for all weights that the map accepts, as for `Learned`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import FrameBounds
from scatter_theory.frames._learned_base import Guarantee
from scatter_theory.frames._learned_operator_checks import (
    DEPENDENT,
    check_finite,
    check_full,
    check_grid,
    check_input,
    check_rank,
    dtype_of,
    ends,
    per_axis,
    whole,
)
from scatter_theory.frames._learned_symbol import contracted, interleaved, phases, ranged, tight
from scatter_theory.grid import Grid
from scatter_theory.seeds import Seed, seeded


class LearnedConv(nn.Module):
    r"""A learned circular convolution :math:`T` with squared singular values in ``[A, B]`` for all weights.

    With kernel w of k taps per axis, stride s and padding p = (k - 1) // 2 let

    .. math:: (T_w u)_o(x) = \sum_{c, t} w_{oc}[t]\, u_c(s x + t - p), \qquad
              T_w \cong \bigoplus_{q} T_w(q), \quad T_w(q) \in \mathbb C^{C_o \times C_i |s|}, \; |s| = s_1 \cdots s_d .

    The layer has the matrices :math:`\tilde T(q)` made from :math:`T_w(q)` in the place of those:

    * ``"canonical"``: all singular values are :math:`\sqrt B`. With at least as many rows as columns,
      :math:`C_o \ge C_i |s|`, :math:`\tilde T(q) = \sqrt B\, T_w(q) L^{-*}` with the Cholesky factor of
      :math:`T_w^* T_w = L L^*`, and :math:`\|Tu\|^2 = B \|u\|^2`: A = B. With fewer rows
      :math:`\tilde T(q) = \sqrt B\, L^{-1} T_w(q)`, :math:`T_w T_w^* = L L^*`, and :math:`T T^* = B`: a multiple of a
      coisometry. T then has a kernel, so that its lower frame bound is 0; that of :math:`T^*` is B.
    * ``"range"``: a singular value :math:`\sigma` of :math:`T_w(q)` becomes one with the square
      :math:`A + (B - A)\, \sigma^2 / (1 + \sigma^2)`. With fewer rows than columns A bounds :math:`T^*` from below, and
      the lower frame bound of T is 0.

    *When it is defined.* Where every :math:`T_w(q)` has full rank; with ``"range"`` and A = 0 for all weights. A layer
    without full rank, such as one with a kernel that is zero, is refused on the CPU; on other devices, where a check
    would wait for the device, its output is NaN. The map is smooth where it is defined; there are no eigenvectors in
    it, so that repeated singular values do no harm.

    *What is lost.* Taps: the effective filters (`taps`) are as long as the grid. They are functions of continuous
    frequency, so that the guarantee holds on every grid on which the layer is defined (`on`), but the filters of one
    grid are not those of another. The layer has no bias, which would change no distance.

    *Precision.* The matrices are made in float64 from weights of any type. Float32 inputs get them rounded to float32:
    the guarantee then holds up to about 1e-6.

    The paper's theory of modules is about scalar convolutions; this layer is an operator with bounds, no `Frame`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel : int or tuple of int
        Taps of the free kernel per axis; longer ones than the grid wrap.
    grid : Grid
        Grid of the input; its shape counts, and the stride divides it.
    stride : int or tuple of int
    parametrisation : {"canonical", "range"}
    A : float, optional
        Lower end, 0 <= A <= B, for ``"range"`` only.
    B : float
        Upper end, positive.
    generator : int, torch.Generator or None
        Of the weights before training: independent normal numbers, with singular values of T_w about 1.
    dtype : torch.dtype, optional
        float32, float64, complex64 or complex128; torch's default if it is left out. Inputs have the same.

    Attributes
    ----------
    weight : Parameter
        The free kernel w, ``(out_channels, in_channels, *kernel)``: the only parameter.

    Raises
    ------
    TypeError
        For a dtype that is not listed, or a generator that is none.
    ValueError
        For parameters outside their range, a stride that does not divide the grid, or a kernel too small for full rank
        whatever its weights: shorter than the stride.

    Examples
    --------
    >>> layer = LearnedConv(2, 8, 3, Grid.square(8), stride=2, generator=0, dtype=torch.float64)
    >>> layer(torch.zeros(5, 2, 8, 8, dtype=torch.float64)).shape
    torch.Size([5, 8, 4, 4])
    >>> tuple(round(bound, 12) for bound in layer.bounds())
    (1.0, 1.0)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Sequence[int],
        grid: Grid,
        *,
        stride: int | Sequence[int] = 1,
        parametrisation: Literal["canonical", "range"] = "canonical",
        A: float | None = None,
        B: float = 1.0,
        generator: Seed = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = whole("in_channels", in_channels)
        self.out_channels = whole("out_channels", out_channels)
        self.grid, d = grid, grid.ndim
        self.kernel, self.stride = per_axis("kernel", kernel, d), per_axis("stride", stride, d)
        self.parametrisation = parametrisation
        self.A, self.B = ends(parametrisation, A, B)
        check_grid(self.stride, grid)
        if not self._everywhere:
            check_rank(self.in_channels, self.out_channels, self.kernel, self.stride)
        dtype = dtype_of(dtype)
        size = math.prod(self.kernel) * max(self.in_channels, self.out_channels / math.prod(self.stride))
        source, _ = seeded(generator)
        wide = torch.complex128 if dtype.is_complex else torch.float64
        first = torch.randn(self.out_channels, self.in_channels, *self.kernel, dtype=wide, generator=source)
        self.weight = nn.Parameter((first / size**0.5).to(dtype))

    @property
    def coarse(self) -> tuple[int, ...]:
        """Shape of the grid of the output."""
        return tuple(n // s for n, s in zip(self.grid.shape, self.stride, strict=True))

    @property
    def wide(self) -> bool:
        """Whether the operator has fewer rows than columns, so that its lower frame bound is 0."""
        return self.out_channels < self.in_channels * math.prod(self.stride)

    @property
    def guarantee(self) -> Guarantee:
        """What holds for all weights, on the grid of the layer and on every grid."""
        values = f"every squared singular value lies in [{self.A:.6g}, {self.B:.6g}]"
        rest = "; fewer rows than columns, so that the lower frame bound is 0 and the range is that of the adjoint"
        where = "" if self._everywhere else ", where every matrix has full rank; other weights are refused"
        this = f"{values}{rest if self.wide else ''}{where}"
        return Guarantee(0.0 if self.wide else self.A, self.B, this, "the same; the filters differ and fill the grid")

    def on(self, grid: Grid) -> LearnedConv:
        """The same layer on another grid, with the same weights: those of one are those of the other.

        Raises
        ------
        ValueError
            For another number of axes, or a grid that the stride does not divide.
        """
        check_grid(self.stride, grid)
        # A shallow copy: parameters lie in one table that both layers hold.
        other = copy.copy(self)
        other.grid = grid
        return other

    def symbols(self) -> Tensor:
        r"""The matrices :math:`\tilde T(q)`, ``(*coarse, out_channels, in_channels * prod(stride))``, complex128.

        Columns are (channel, phase), the phases of the input in row-major order. Their singular values are those of
        the layer as an operator on the grid; q is the DFT index. They carry the gradients of the weights.

        Raises
        ------
        ValueError
            On the CPU, if a weight is not finite, or a matrix has no full rank where it has to.
        """
        return self._mapped(torch.fft.ifftn(self._blocks(), dim=self.grid.axes, norm="forward"))

    def taps(self) -> Tensor:
        r"""Effective taps, ``(out_channels, in_channels, *grid.shape)``, float64 or complex128, with gradients.

        :math:`(Tu)_o(x) = \sum_{c,t} \text{taps}_{oc}[t]\, u_c(s x + t)`, positions modulo the grid: a convolution of
        torch with these weights and circular padding does the same.
        """
        blocks = torch.fft.fftn(self.symbols().movedim((-2, -1), (0, 1)), dim=self.grid.axes, norm="forward")
        found = interleaved(blocks, self.stride)
        return found if self.weight.is_complex() else found.real

    def bounds(self) -> FrameBounds:
        """Exact frame bounds on the grid with the present weights, from singular values of all matrices.

        A is 0 where the operator has fewer rows than columns.
        """
        with torch.no_grad():
            values = torch.linalg.svdvals(self.symbols()).square()
        source = f"squared singular value over {math.prod(self.coarse)} coarse frequencies"
        low = Constant(float(values.min()), f"smallest {source}", "grid")
        if self.wide:
            low = Constant(0.0, "fewer rows than columns", "analytic")
        return FrameBounds(low, Constant(float(values.max()), f"largest {source}", "grid"))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the operator to ``(batch, in_channels, *grid.shape)``: ``(batch, out_channels, *coarse)``.

        Raises
        ------
        TypeError
            For an input of another dtype than the weight.
        ValueError
            For another shape; as `symbols`.
        """
        check_input(x, self.in_channels, self.grid, self.weight)
        axes, real = self.grid.axes, not x.is_complex()
        if real:  # half of the frequencies: T(-q) is the conjugate of T(q)
            found = self._mapped(torch.fft.rfftn(self._blocks(), dim=axes).conj())
        else:
            found = self.symbols()
        transform = torch.fft.rfftn if real else torch.fft.fftn
        spectrum = transform(phases(x, self.stride), dim=axes)
        out = (found.to(spectrum.dtype) @ spectrum.movedim((1, 0), (-2, -1))).movedim((-2, -1), (1, 0))
        return torch.fft.irfftn(out, s=self.coarse, dim=axes) if real else torch.fft.ifftn(out, dim=axes)

    @property
    def _everywhere(self) -> bool:
        return self.parametrisation == "range" and self.A == 0

    def _blocks(self) -> Tensor:
        """The kernel on the grid, cut into phases: ``(out_channels, in_channels * prod(stride), *coarse)``."""
        weight = self.weight
        check_finite(weight)
        values = weight.to(torch.complex128 if weight.is_complex() else torch.float64)
        for axis, (k, n) in enumerate(zip(self.kernel, self.grid.shape, strict=True), start=2):
            positions = (torch.arange(k, device=weight.device) - (k - 1) // 2) % n
            shape = list(values.shape)
            shape[axis] = n
            values = values.new_zeros(shape).index_add(axis, positions, values)
        return phases(values, self.stride)

    def _mapped(self, spectra: Tensor) -> Tensor:
        """Matrices in the range, ``(*q, rows, columns)``, from those of the kernel, ``(rows, columns, *q)``."""
        T = spectra.movedim((0, 1), (-2, -1))
        X = T.mH if self.wide else T
        if self._everywhere:
            X = contracted(X, self.B)
        else:
            X, share = tight(X, self.B) if self.parametrisation == "canonical" else ranged(X, self.A, self.B)
            if share.device.type == "cpu":
                check_full(share, self.wide)
            else:
                X = torch.where((share > DEPENDENT)[..., None, None], X, math.nan)
        return X.mH if self.wide else X

    def extra_repr(self) -> str:
        """Channels and parameters."""
        bounds = f"A={self.A:g}, B={self.B:g}" if self.parametrisation == "range" else f"B={self.B:g}"
        return (
            f"{self.in_channels}, {self.out_channels}, kernel={self.kernel}, grid={self.grid.shape}, "
            f"stride={self.stride}, parametrisation={self.parametrisation!r}, {bounds}"
        )
