"""Filters and output maps on tensors: compiled kernels where they apply, torch operations everywhere else."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scatter_theory.engine import _kernels
from scatter_theory.engine._output import Output, apply_matrices, mix
from scatter_theory.engine._packing import Packed
from scatter_theory.grid import safe_sqrt

COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}
REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}


def plain(x: Tensor) -> bool:
    """Whether kernels may read this tensor: on the CPU, and not under a transformation of torch."""
    return (
        x.device.type == "cpu"
        and type(x) in (Tensor, torch.nn.Parameter)
        and not torch.compiler.is_compiling()
        and not transformed(x)
        and torch.autograd.forward_ad.unpack_dual(x).tangent is None
    )


def transformed(x: Tensor) -> bool:
    """Whether the tensor stands for another one under `torch.func`: nothing may be written in place then."""
    return torch._C._functorch.is_functorch_wrapped_tensor(x)


def real_dtype(x: Tensor) -> torch.dtype:
    """Precision of a real or complex tensor."""
    return REAL.get(x.dtype, x.dtype)


class Filters:
    """Packed filters of one edge, with whatever the devices need of them.

    Parameters
    ----------
    packed : Packed
    """

    def __init__(self, packed: Packed) -> None:
        self.packed = packed
        self._compiled: dict[torch.dtype, _kernels.CompiledRuns] = {}
        self._slots: dict[tuple[torch.dtype, torch.device], tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return len(self.packed)

    def __getstate__(self) -> dict[str, Any]:
        return {"packed": self.packed, "_compiled": {}, "_slots": {}}

    def compiled(self, dtype: torch.dtype) -> _kernels.CompiledRuns:
        """The runs for the kernels."""
        if dtype not in self._compiled:
            self._compiled[dtype] = _kernels.CompiledRuns(self.packed, dtype)
        return self._compiled[dtype]

    def slots(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
        """Gather indices ``(n_slots, n_filters * size)`` and weights, on a device."""
        key = (dtype, device)
        if key not in self._slots:
            index, weight = self.packed.slots()
            kind = COMPLEX[dtype] if weight.dtype.kind == "c" else dtype
            with torch.inference_mode(False):  # They are used again where gradients are wanted.
                self._slots[key] = (
                    torch.from_numpy(index.reshape(len(index), -1)).to(device),
                    torch.from_numpy(weight).to(kind).to(device),
                )
        return self._slots[key]

    def __call__(self, x: Tensor) -> Tensor:
        """Filtered and folded spectra: ``(batch, n, *source) -> (batch, n, n_filters, *spectrum shape)``."""
        return _Fold.apply(x, self) if plain(x) and _kernels.library(real_dtype(x)) else self.gathered(x)

    def gathered(self, x: Tensor) -> Tensor:
        """The same with torch operations."""
        index, weight = self.slots(real_dtype(x), x.device)
        flat = x.flatten(2)
        shape = (*flat.shape[:2], *weight.shape[1:])
        total = flat.index_select(2, index[0]).reshape(shape) * weight[0]
        for slot in range(1, len(index)):
            total = total + flat.index_select(2, index[slot]).reshape(shape) * weight[slot]
        return total.reshape(*shape[:3], *self.packed.spectrum_shape)


class _Fold(torch.autograd.Function):
    """Filtering by kernel; its adjoint likewise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, filters: Filters) -> Tensor:
        ctx.filters, ctx.shape = filters, x.shape
        return fold(x, filters)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _Unfold.apply(gradient, ctx.filters, ctx.shape), None


class _Unfold(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, filters: Filters, shape: torch.Size) -> Tensor:
        ctx.filters = filters
        return unfold(y, filters, shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _Fold.apply(gradient, ctx.filters), None, None


def _pointer(x: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.data_ptr() if x is not None else None)


def fold(x: Tensor, filters: Filters) -> Tensor:
    """Filtered and folded spectra by kernel."""
    packed, dtype = filters.packed, real_dtype(x)
    x = x.resolve_conj().contiguous()
    y = torch.empty((*x.shape[:2], len(packed), *packed.spectrum_shape), dtype=x.dtype)
    runs = filters.compiled(dtype).structure
    sizes = (x.shape[0] * x.shape[1], len(packed), math.prod(packed.source), math.prod(packed.spectrum_shape))
    _kernels.library(dtype).fold(ctypes.byref(runs), _pointer(x), _pointer(y), *sizes, torch.get_num_threads())
    return y


def unfold(y: Tensor, filters: Filters, shape: torch.Size) -> Tensor:
    """Adjoint of `fold` by kernel."""
    packed, dtype = filters.packed, real_dtype(y)
    y = y.resolve_conj().contiguous()
    x = torch.empty(shape, dtype=y.dtype)
    runs = filters.compiled(dtype).structure
    sizes = (shape[0] * shape[1], len(packed), math.prod(packed.source), math.prod(packed.spectrum_shape))
    _kernels.library(dtype).unfold(ctypes.byref(runs), _pointer(x), _pointer(y), *sizes, torch.get_num_threads())
    return x


def modulus(z: Tensor) -> Tensor:
    """``|z|`` of complex maps; torch's own complex modulus guards against overflow and is three times slower."""
    if not z.is_complex():
        return z.abs()
    if z.requires_grad or not plain(z) or not z.is_contiguous() or z.is_conj():
        return safe_sqrt(z.real.square() + z.imag.square())
    lib = _kernels.library(real_dtype(z))
    if lib is None:
        parts = torch.view_as_real(z)
        return parts.square().sum(-1).sqrt_()
    u = torch.empty(z.shape, dtype=real_dtype(z))
    lib.modulus(_pointer(z), _pointer(u), z.numel(), torch.get_num_threads())
    return u


class OutputMap:
    """An `Output` on tensors."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.spectral = Filters(output.spectral) if output.spectral is not None else None
        self._tensors: dict[tuple[torch.dtype, torch.device], Any] = {}
        self._compiled: dict[torch.dtype, _kernels.CompiledPooling] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"output": self.output, "spectral": self.spectral, "_tensors": {}, "_compiled": {}}

    def _on(self, dtype: torch.dtype, device: torch.device) -> Any:
        key = (dtype, device)
        if key not in self._tensors:
            with torch.inference_mode(False):  # They are used again where gradients are wanted.
                self._tensors[key] = self._made(dtype, device)
        return self._tensors[key]

    def _made(self, dtype: torch.dtype, device: torch.device) -> Any:
        def tensor(array: Any, kind: torch.dtype) -> Tensor:
            return torch.from_numpy(array).to(kind).to(device)

        mixing, kind = self.output.mixing, COMPLEX[dtype]
        matrices = tuple(tensor(m, dtype) for m in self.output.matrices)
        if mixing is None:
            return matrices, None
        phases, samples = (tuple(tensor(m, kind) for m in part) for part in (mixing.phases, mixing.samples))
        return matrices, (phases, tensor(mixing.values, kind), samples)

    def __call__(self, u: Tensor | None, spectrum: Tensor | None = None) -> Tensor:
        """``(batch, n, *source) -> (batch, n, *target)``; `spectrum`, the DFT of u, saves a transform if known.

        Real maps u may be left out where their spectrum is known and the output has no matrices.
        """
        if self.spectral is None:
            return self.mixed(self.averages(u))
        d = len(self.output.source)
        axes = tuple(range(-d, 0))
        spectrum = spectrum if spectrum is not None else torch.fft.fftn(u, dim=axes)
        result = torch.fft.ifftn(self.spectral(spectrum).squeeze(2), dim=axes, norm="forward")
        result = result[(..., *self.output.kept)]
        return result.real if self.output.real and (u is None or not u.is_complex()) else result

    def compiled(self, dtype: torch.dtype) -> _kernels.CompiledPooling:
        """The matrices for the kernels."""
        if dtype not in self._compiled:
            self._compiled[dtype] = _kernels.CompiledPooling(self.output.matrices, dtype)
        return self._compiled[dtype]

    def averages(self, u: Tensor) -> Tensor:
        """The result of the matrices alone."""
        return apply_matrices(self._on(real_dtype(u), u.device)[0], u)

    def mixed(self, coefficients: Tensor) -> Tensor:
        """What follows the matrices."""
        if self.output.mixing is None:
            return coefficients
        _, mixing = self._on(real_dtype(coefficients), coefficients.device)
        return mix(mixing, coefficients, self.output.real)


class Fused:
    """Filter, inverse transform, modulus and averages of one edge in a single kernel."""

    def __init__(self, filters: Filters, output: OutputMap | None) -> None:
        self.filters, self.output = filters, output
        self._compiled: dict[torch.dtype, _kernels.CompiledEdge] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {"filters": self.filters, "output": self.output, "_compiled": {}}

    def compiled(self, dtype: torch.dtype) -> _kernels.CompiledEdge:
        """The edge for the kernels."""
        if dtype not in self._compiled:
            pooling = self.output.compiled(dtype) if self.output is not None else None
            self._compiled[dtype] = _kernels.CompiledEdge(self.filters.packed, pooling, dtype)
        return self._compiled[dtype]

    def __call__(
        self,
        x: Tensor,
        *,
        maps: bool,
        spectra: bool,
        sums: bool,
        chosen: np.ndarray | None = None,
        room: Tensor | None = None,
    ) -> tuple[Tensor | None, ...]:
        """Moduli, their spectra, outputs and sums of squares.

        Parameters
        ----------
        x : (batch, n, *source) complex tensor
        maps, spectra, sums : bool
            Whether the moduli, their DFT and their sums of squares are wanted.
        chosen : (n',) int64 array, optional
            The maps that are filtered, n' takes the place of n below; not where a gradient is wanted.
        room : (batch, n, n_filters, *target) complex tensor, optional
            Where the spectra go, if no gradient is wanted.

        Returns
        -------
        u : (batch, n, n_filters, *target) tensor or None
        U : (batch, n, n_filters, *target) complex tensor or None
        S : (batch, n, n_filters, *output grid) tensor or None
        sums : (batch, n, n_filters) tensor or None
        """
        recorded = torch.is_grad_enabled() and x.requires_grad
        propagate = _Propagate.apply if recorded else self.propagate
        u, U, averages, total = propagate(x, maps, spectra, sums, *((self,) if recorded else (chosen, room)))
        lead = (x.shape[0], x.shape[1] if chosen is None else len(chosen), len(self.filters))
        S = None
        if self.output is not None:
            grid = tuple(len(m) for m in self.output.output.matrices)
            S = self.output.mixed(averages.reshape(*lead, *grid).flatten(1, 2)).unflatten(1, lead[1:])
        return u, U, S, total

    def propagate(
        self,
        x: Tensor,
        maps: bool,
        spectra: bool,
        sums: bool,
        chosen: np.ndarray | None = None,
        room: Tensor | None = None,
    ) -> tuple[Tensor | None, ...]:
        """The kernel's results, the outputs before the mixing; without a gradient."""
        dtype = real_dtype(x)
        edge = self.compiled(dtype)
        x, maps_in = _input(x, chosen)
        items, threads = maps_in.batch * maps_in.parents, torch.get_num_threads()
        lead = (maps_in.batch, maps_in.parents, edge.filters)
        target = self.filters.packed.target
        u = torch.empty((*lead, *target), dtype=dtype) if maps else None
        U = (torch.empty((*lead, *target), dtype=x.dtype) if room is None else room) if spectra else None
        averages = torch.empty((*lead, edge.outputs), dtype=dtype)
        total = torch.empty(lead, dtype=dtype) if sums else None
        blocks = max(-(-items // _kernels.LANES), 1)
        parts = 1 if threads == 1 or blocks >= 4 * threads else min(edge.filters, -(-4 * threads // blocks))
        together = edge.together(edge.blocks(items) * (parts if items >= _kernels.LANES else 1), threads)
        arrays = map(_pointer, (u, U, averages, total))
        failed = _kernels.library(dtype).propagate(
            ctypes.byref(edge.structure), ctypes.byref(maps_in), *arrays, parts, together, threads
        )
        _check_memory(failed, edge)
        return u, U, averages, total

    def differentiable_gradient(
        self, x: Tensor, gu: Tensor | None, gU: Tensor | None, gaverages: Tensor | None, gsums: Tensor | None
    ) -> Tensor:
        """Gradient at the spectra x from those of all results of a pass, by torch operations."""
        axes = tuple(range(-len(self.filters.packed.target), 0))
        u = torch.fft.ifftn(self.filters.gathered(x), dim=axes, norm="forward")
        u = safe_sqrt(u.real.square() + u.imag.square())
        results = [(u, gu), (u.square().flatten(3).sum(-1), gsums)]
        if gU is not None:
            results.append((torch.fft.fftn(u, dim=axes), gU))
        if self.output is not None and gaverages is not None:
            results.append((self.output.averages(u).flatten(3), gaverages))
        wanted = [(value, gradient) for value, gradient in results if gradient is not None]
        values, gradients = zip(*wanted, strict=True)
        return torch.autograd.grad(values, x, gradients, create_graph=True)[0]


class _Propagate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, maps: bool, spectra: bool, sums: bool, fused: Fused) -> tuple[Tensor | None, ...]:
        ctx.save_for_backward(x)
        ctx.fused = fused
        return fused.propagate(x, maps, spectra, sums)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():  # A gradient of the gradient is wanted: torch operations have one.
            gradient = ctx.fused.differentiable_gradient(ctx.saved_tensors[0], *gradients)
            return gradient, None, None, None, None
        x, maps_in = _input(ctx.saved_tensors[0])
        dtype = real_dtype(x)
        edge = ctx.fused.compiled(dtype)
        items, threads = x.shape[0] * x.shape[1], torch.get_num_threads()
        together = edge.together(edge.blocks(items), threads)
        sheets = threads if items < _kernels.LANES and not together else 1
        gradient = (torch.zeros if sheets > 1 else torch.empty)((sheets, *x.shape), dtype=x.dtype)
        gu, gU, gaverages, gsums = (g.resolve_conj().contiguous() if g is not None else None for g in gradients)
        if gaverages is None:
            gaverages = torch.zeros((items * edge.filters, edge.outputs), dtype=dtype)
        arrays = map(_pointer, (gu, gU, gaverages, gsums, gradient))
        failed = _kernels.library(dtype).propagate_gradient(
            ctypes.byref(edge.structure), ctypes.byref(maps_in), *arrays, together, threads
        )
        _check_memory(failed, edge)
        return gradient.sum(0) if sheets > 1 else gradient[0], None, None, None, None


def _input(x: Tensor, chosen: np.ndarray | None = None) -> tuple[Tensor, _kernels.Input]:
    """Spectra as the kernels want them: the maps of one signal side by side, signals any stride apart."""
    x = x.resolve_conj()
    batch, parents = x.shape[:2]
    if x.numel() and not x[0].is_contiguous():
        x = x.contiguous()
    if chosen is None:
        return x, _kernels.Input(x.data_ptr(), batch, parents, x.stride(0), None)
    return x, _kernels.Input(x.data_ptr(), batch, len(chosen), x.stride(0), chosen.ctypes.data)


def _check_memory(failed: int, edge: _kernels.CompiledEdge) -> None:
    if failed:
        raise MemoryError(f"the engine has no memory left for maps of {edge.target} samples. Use a smaller batch.")
