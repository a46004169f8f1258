r"""The feature extractor: the readable core.

Layer n has a frame with output atom :math:`\chi_{n-1}` and propagating atoms :math:`g_\lambda`, a non-linearity M and a
pooling P with factor S,

.. math:: U_n[\lambda] u = S^{d/2} \, P(M(u * g_\lambda))(S \cdot), \qquad
          \Phi^n(f) = \{ (U[q] f) * \chi_n : |q| = n \} .

The output atom of layer n's features belongs to the frame of layer n + 1; the last one to `final`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scatter_theory import certificates
from scatter_theory.constants import Constant
from scatter_theory.description import Cost, layer_table
from scatter_theory.features import Features, LayerFeatures
from scatter_theory.frames import Bank, Frame
from scatter_theory.grid import Grid
from scatter_theory.inputs import prepare
from scatter_theory.layers import Layer, bank_of
from scatter_theory.paths import (
    AllPaths,
    EnergyRule,
    FixedPaths,
    Path,
    PathRule,
    PathTree,
    StructuralRule,
    refuse_above,
    structural_tree,
)
from scatter_theory.poolings import Sampling, check_sampling

#: Bytes of one block of propagated maps during extraction.
BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class Step:
    """One node of the network: the propagated maps U[q]f ``(*batch, *shape)`` and what they emit."""

    path: Path
    U: Tensor
    S: Tensor
    grid: Grid


@dataclass(frozen=True, eq=False)
class _Block:
    """Several nodes of one layer: U and S of shape ``(batch, n_paths, *shape)``."""

    paths: tuple[Path, ...]
    U: Tensor
    S: Tensor
    pruned: Tensor


class AdmissibilityWarning(UserWarning):
    """A network whose layers may expand distances was built; its certified constant replaces 1 in the bounds."""


class FeatureExtractor(nn.Module):
    r"""Deep feature extractor; every layer may differ in everything.

    Parameters
    ----------
    layers : sequence of Layer
        N >= 1 layers; features of layers 0..N are returned.
    grid : Grid
        Grid of the input signals.
    final : Frame, optional
        Frame whose output atom emits the features of the last layer. Default: the frame of the last layer.
    paths : PathRule
        Which paths are expanded; default: all.
    sampling : {"dilate", "decimate"}
        ``"dilate"``: pooling relabels the grid, which is the exact continuous theory on the torus (physical norm).
        ``"decimate"``: pooling keeps every S-th sample, the discrete theory (counting norm up to the constant cell
        volume).
    complex_input : bool
        Whether signals may be complex. With real signals (the default) frames with ``sided="auto"`` use half banks
        where that is exact, and complex signals are refused.
    dtype : torch.dtype
        ``torch.float64`` (default) or ``torch.float32``: precision of the atoms and of the computation.
    max_bytes : int
        Refuse networks whose features of a single signal would need more memory than this.
    reference : Grid, optional
        Grid to whose sampling rate the frames' J and M refer; default: `grid`. With a finer `grid` and the coarse one
        as `reference` the same continuous network is sampled more finely.

    Raises
    ------
    ValueError
        If a half bank is demanded where maps are complex, if pooling does not fit the sampling mode or the grid, or if
        the features of one signal would exceed `max_bytes`.

    Warns
    -----
    AdmissibilityWarning
        If a layer is not admissible.

    Examples
    --------
    >>> import torch, scatter_theory as st
    >>> layer = st.Layer(st.frames.Wavelets(J=3), st.Modulus(), st.Subsample(2))
    >>> phi = st.FeatureExtractor([layer, layer], st.Grid.line(64))
    >>> phi(torch.ones(64, dtype=torch.float64))
    Features(batch (), paths per layer: 1, 3, 12, grid (64,))
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        grid: Grid,
        *,
        final: Frame | None = None,
        paths: PathRule = AllPaths(),  # noqa: B008 - frozen
        sampling: Sampling = "dilate",
        complex_input: bool = False,
        dtype: torch.dtype = torch.float64,
        max_bytes: int = 4 * 2**30,
        reference: Grid | None = None,
    ) -> None:
        super().__init__()
        _check_arguments(layers, grid, final, paths, sampling, dtype, reference)
        self.layers = tuple(layers)
        self.final = final if final is not None else self.layers[-1].frame
        self.path_rule = paths
        self.sampling: Sampling = sampling
        self.complex_input = complex_input
        self.reference = reference if reference is not None else grid
        self.max_bytes = max_bytes
        grids, real, banks = [grid], [not complex_input], []
        for n, layer in enumerate(self.layers):
            layer.pooling.lipschitz(grids[n], sampling)
            banks.append(bank_of(layer, grids[n], self.reference, real[n], f"layers[{n}]"))
            grids.append(layer.pooling.grid(grids[n], sampling))
            real.append(layer.keeps_real(real[n], banks[n]))
        # Only the output atom of this bank is used, so that a half bank is as good as a full one.
        sided = "half" if real[-1] else "both"
        banks.append(self.final.on(grids[-1], reference=self.reference, sided=sided, real=real[-1]))
        #: Grids of layers 0..N.
        self.grids: tuple[Grid, ...] = tuple(grids)
        #: Whether the maps of layers 0..N are real for every real signal.
        self.real: tuple[bool, ...] = tuple(real)
        #: Banks of layers 1..N and the final one (float64); only the output atom of the last is used.
        self.banks: tuple[Bank, ...] = tuple(banks)
        for n, bank in enumerate(banks):
            self.register_buffer(f"_output_{n}", _storable(bank.output, dtype), persistent=False)
            if n < len(self.layers):
                self.register_buffer(f"_spectra_{n}", _storable(bank.spectra, dtype), persistent=False)
        self._real_output = tuple(_hermitian(bank) for bank in banks)
        self._tree = self._structural_tree() if isinstance(paths, StructuralRule) else None
        self._warn_unless_admissible()

    def _warn_unless_admissible(self) -> None:
        values = [c.value for c in self.admissibility(refined=True)]
        worst = max(range(len(values)), key=values.__getitem__)
        if values[worst] > 1 + 1e-9:
            where = f"layer {worst + 1}" if worst < self.depth else "the final output atom"
            warnings.warn(
                f"`FeatureExtractor`: not admissible, sup (|chi|^2 + L^2 R^2 sum |g|^2) = {values[worst]:.6g} > 1 in "
                f"{where}; distances may grow by up to {self.certified_lipschitz().value:.6g}, and the invariance "
                f"bounds do not apply. Use `layer.normalised({self.sampling!r})`, or a tight frame.",
                AdmissibilityWarning,
                stacklevel=3,
            )

    # ------------------------------------------------------------------ description

    @property
    def depth(self) -> int:
        """Number N of layers."""
        return len(self.layers)

    @property
    def grid(self) -> Grid:
        """Grid of the input signals."""
        return self.grids[0]

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the computation."""
        return self._output_0.dtype

    @property
    def signal_dtype(self) -> torch.dtype:
        """Type of the signals in this precision: complex with ``complex_input=True``."""
        return torch.promote_types(self.dtype, torch.complex64) if self.complex_input else self.dtype

    @property
    def device(self) -> torch.device:
        """Device of the atoms."""
        return self._output_0.device

    def pooling_product(self, n: int) -> float:
        """``S_1 ... S_n``; 1 for n = 0."""
        return math.prod(float(layer.pooling.factor) for layer in self.layers[:n])

    def layer_constant(self, n: int) -> Constant:
        """``L R`` of layer n = 1..N, sharp values."""
        return certificates.layer_constant(self.layers[n - 1], self.grids[n - 1], self.sampling)

    def _stages(self) -> list[certificates.Stage]:
        banks, constants = self.banks[:-1], map(self.layer_constant, range(1, self.depth + 1))
        return [certificates.Stage(*stage) for stage in zip(banks, constants, self.real[:-1], strict=True)]

    def _final_power(self) -> Tensor:
        return self.banks[-1].output_power(real=self.real[-1])

    def admissibility(self, *, refined: bool = False) -> tuple[Constant, ...]:
        r"""Left-hand sides of the admissibility condition of layers 1..N and of the final output atom: wanted <= 1.

        ``max{B, B L^2 R^2}`` or, refined, :math:`\sup_\xi (|\hat\chi|^2 + L^2 R^2 \sum_\lambda |\hat g_\lambda|^2)`;
        for the final atom :math:`\sup |\hat\chi_N|^2`. Even parts are used where the maps are real.
        """
        return certificates.admissibility(self._stages(), self._final_power(), refined=refined)

    def certified_lipschitz(self) -> Constant:
        r"""Lipschitz constant :math:`c_0^{1/2}` of the whole map, for any network, admissible or not.

        .. math:: c_N = \sup |\hat\chi_N|^2, \quad
                  c_{n-1} = \sup_\xi \big( |\hat\chi_{n-1}|^2 + c_n L_n^2 R_n^2 G_n \big), \quad
                  |||\Phi(f) - \Phi(h)|||^2 \le c_0 \|f - h\|^2 ,

        with :math:`G_n = \sum_\lambda |\hat g_\lambda|^2`, by backward induction over the layers. Proof: the squared
        distance of the sub-network that starts at layer n is at most :math:`c_n` times that of its inputs.
        """
        return certificates.certified_lipschitz(self._stages(), self._final_power())

    def cost(self, batch: int = 1) -> Cost:
        """Predicted paths, coefficients per signal and bytes for a batch; exact paths for structural rules only."""
        if self._tree is None:
            raise ValueError(f"`cost`: {self.path_rule!r} chooses paths by the signals, so their number is unknown.")
        counts = tuple(len(level) for level in self._tree.levels)
        item = torch.finfo(self.dtype).bits // 8
        coefficients = sum(c * g.size for c, g in zip(counts, self.grids, strict=True))
        feature = sum(c * b for c, b in zip(counts, self._bytes_per_path(), strict=True)) * batch
        widest = max(g.size * max(len(b), 1) for g, b in zip(self.grids, self.banks, strict=True)) * 2 * item * batch
        return Cost(counts, coefficients, feature, 4 * min(widest, BLOCK_BYTES) * self.depth + feature)

    def describe(self) -> str:
        """Table of the layers: grid, atoms, kind, constants."""
        return layer_table(self)

    def extra_repr(self) -> str:
        """One line per layer, for ``repr``."""
        lines = [f"({n + 1}): {layer!r}" for n, layer in enumerate(self.layers)]
        lines.append(f"grid={self.grid!r}, sampling={self.sampling!r}, paths={self.path_rule!r}")
        return "\n".join(lines)

    # ------------------------------------------------------------------ computation

    def forward(self, f: Tensor | np.ndarray, *, check_finite: bool = True) -> Features:
        """Features of `f`.

        Parameters
        ----------
        f : (*batch, *grid.shape) tensor or array
            Real or, if the extractor was made with ``complex_input=True``, complex. Lower precision than the
            extractor's is raised without loss; higher precision is refused.
        check_finite : bool
            Whether to look for NaN and infinite entries first. Done on the CPU only: elsewhere it would force a host
            synchronisation.

        Returns
        -------
        Features

        Raises
        ------
        TypeError
            For integers, booleans, half precision, or float64 input to a float32 extractor.
        ValueError
            For a wrong shape, NaN or infinite entries, a complex signal where real ones were announced, or a tensor on
            another device.
        """
        x = self.prepare(f, check_finite=check_finite)
        batch = x.shape[: x.ndim - self.grid.ndim]
        x = x.reshape(-1, *self.grid.shape)
        tree = self._tree if self._tree is not None else self._energy_tree(x)
        parts = [self._collect(chunk, tree) for chunk in self._batches(x)]
        layers = []
        for n, level in enumerate(tree.levels):
            values = torch.cat([p[0][n] for p in parts]) if len(parts) > 1 else parts[0][0][n]
            scales = tuple(tuple(self.banks[k].atoms[i].scale for k, i in enumerate(q)) for q in level)
            values = values.reshape(*batch, *values.shape[1:])
            layers.append(LayerFeatures(n, tuple(level), scales, values, self.grids[n]))
        remainder = tuple(torch.cat([p[1][n] for p in parts]).reshape(batch) for n in range(self.depth + 1))
        return Features(tuple(layers), remainder, torch.cat([p[2] for p in parts]).reshape(batch))

    def walk(self, f: Tensor | np.ndarray) -> Iterator[Step]:
        """Nodes of the network in depth-first order, one path at a time."""
        x = self.prepare(f)
        batch = x.shape[: x.ndim - self.grid.ndim]
        x = x.reshape(-1, *self.grid.shape)
        tree = self._tree if self._tree is not None else self._energy_tree(x)
        for n, block in self._expand(x.unsqueeze(1), (Path(()),), 0, tree):
            for i, path in enumerate(block.paths):
                shape = (*batch, *self.grids[n].shape)
                yield Step(path, block.U[:, i].reshape(shape), block.S[:, i].reshape(shape), self.grids[n])

    def propagate(self, f: Tensor | np.ndarray, path: Sequence[int]) -> Tensor:
        """Propagated maps ``U[q] f`` of one path, ``(*batch, *grid_n.shape)``."""
        U = self.prepare(f)
        for n, index in enumerate(path):
            if not (n < self.depth and 0 <= index < len(self.banks[n])):
                raise ValueError(f"`propagate(path={tuple(path)})`: entry {n} is not an atom of layer {n + 1}.")
            U = self._propagate(n, self.grids[n].fft(U) * self._spectra(n)[index], U.is_complex())
        return U

    def prepare(self, f: Tensor | np.ndarray, *, check_finite: bool = True) -> Tensor:
        """Checked copy-free tensor in the extractor's precision; raises as `forward`."""
        return prepare(
            f, self.grid, self.dtype, self.device, complex_input=self.complex_input, check_finite=check_finite
        )

    def _spectra(self, n: int) -> Tensor:
        return _usable(getattr(self, f"_spectra_{n}"), self.grids[n].ndim + 1)

    def _output(self, n: int) -> Tensor:
        return _usable(getattr(self, f"_output_{n}"), self.grids[n].ndim)

    def _propagate(self, n: int, spectrum: Tensor, complex_maps: bool) -> Tensor:
        """Non-linearity and pooling of layer n + 1 on filtered spectra."""
        layer = self.layers[n]
        V = self.grids[n].ifft(spectrum)
        V = V.real if self.banks[n].kind == "real" and not complex_maps else V
        return layer.pooling(layer.nonlinearity(V), self.grids[n], self.sampling)[0]

    def _expand(self, U: Tensor, paths: tuple[Path, ...], n: int, tree: PathTree) -> Iterator[tuple[int, _Block]]:
        """Emit a block of nodes of layer n, then expand it depth first, in blocks of bounded size."""
        grid = self.grids[n]
        spectrum = grid.fft(U)
        S = grid.ifft(spectrum * self._output(n))
        S = S.real if self._real_output[n] and not U.is_complex() else S
        if n == self.depth:
            yield n, _Block(paths, U, S, torch.zeros(U.shape[0], dtype=torch.float64, device=U.device))
            return
        children = tree.children(paths)
        yield n, _Block(paths, U, S, self._pruned(n, spectrum, paths, children))
        spectra = self._spectra(n)
        size = max(1, BLOCK_BYTES // (2 * U.element_size() * max(U.shape[0], 1) * grid.size))
        for start in range(0, len(children), size):
            part = children[start : start + size]
            parents = torch.tensor([p for p, _, _ in part], device=U.device)
            atoms = torch.tensor([a for _, a, _ in part], device=U.device)
            filtered = spectrum.index_select(1, parents) * spectra.index_select(0, atoms)
            V = self._propagate(n, filtered, U.is_complex())
            yield from self._expand(V, tuple(q for _, _, q in part), n + 1, tree)

    def _pruned(
        self, n: int, spectrum: Tensor, paths: Sequence[Path], children: Sequence[tuple[int, int, Path]]
    ) -> Tensor:
        """Energy of the candidates that are not expanded, summed over the block, ``(batch,)``."""
        bank = self.banks[n]
        if len(children) == len(paths) * len(bank):
            return torch.zeros(spectrum.shape[0], dtype=torch.float64, device=spectrum.device)
        kept = {(p, a) for p, a, _ in children}
        dropped = [[float((p, a) not in kept) for a in range(len(bank))] for p in range(len(paths))]
        weights = torch.tensor(dropped, dtype=torch.float64, device=spectrum.device)
        return (self._candidate_energies(n, spectrum) * weights).sum((1, 2))

    def _candidate_energies(self, n: int, spectrum: Tensor) -> Tensor:
        """``||u * g||^2`` for every map and atom by Parseval, ``(batch, n_paths, n_atoms)``, float64."""
        grid = self.grids[n]
        power = _abs2(spectrum).flatten(2) * (grid.cell_volume / grid.size)
        return power @ _abs2(self._spectra(n)).flatten(1).T

    def _collect(self, x: Tensor, tree: PathTree) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Features, remainders and pruned energy of one chunk of the batch."""
        values: list[list[Tensor]] = [[] for _ in tree.levels]
        remainder = [torch.zeros(x.shape[0], dtype=torch.float64, device=x.device) for _ in tree.levels]
        pruned = torch.zeros(x.shape[0], dtype=torch.float64, device=x.device)
        for n, block in self._expand(x.unsqueeze(1), (Path(()),), 0, tree):
            values[n].append(block.S)
            remainder[n] = remainder[n] + self.grids[n].energy(block.U).sum(1)
            pruned = pruned + block.pruned
        empty = [x.new_zeros((x.shape[0], 0, *g.shape)) for g in self.grids]
        return [torch.cat(v, 1) if v else e for v, e in zip(values, empty, strict=True)], remainder, pruned

    def _batches(self, x: Tensor) -> list[Tensor]:
        """Chunks of the batch for which one layer's block stays bounded; at least one chunk."""
        widest = max(g.size * max(len(b), 1) for g, b in zip(self.grids, self.banks, strict=True))
        size = max(1, BLOCK_BYTES // (2 * x.element_size() * widest))
        return list(x.split(size)) if x.shape[0] > size else [x]

    # ------------------------------------------------------------------ paths

    def _bytes_per_path(self) -> list[int]:
        """Bytes of the features of one path and one signal, for layers 0..N."""
        item = torch.finfo(self.dtype).bits // 8
        parts = [1 if real and output else 2 for real, output in zip(self.real, self._real_output, strict=True)]
        return [grid.size * item * part for grid, part in zip(self.grids, parts, strict=True)]

    def _structural_tree(self) -> PathTree:
        assert isinstance(self.path_rule, StructuralRule)
        octaves = [math.log2(layer.pooling.factor) for layer in self.layers]
        atoms = [bank.atoms for bank in self.banks[:-1]]
        return structural_tree(self.path_rule, atoms, octaves, self._bytes_per_path(), self.max_bytes)

    @torch.no_grad()
    def _energy_tree(self, x: Tensor) -> PathTree:
        """Paths chosen by an energy rule for this batch, layer by layer; needs host synchronisation.

        The layers before are expanded anew for every layer, so that no more than one block is held at a time.
        """
        assert isinstance(self.path_rule, EnergyRule)
        levels, used, sizes = [[Path(())]], self._bytes_per_path()[0], self._bytes_per_path()
        for n in range(self.depth):
            level = []
            if x.shape[0] > 0 and levels[n]:
                pairs = torch.nonzero(self.path_rule.keep(self._shares(n, x, PathTree(levels))))
                refuse_above(self.max_bytes, n + 1, len(pairs), used, sizes[n + 1])
                level = [levels[n][p].child(a) for p, a in pairs.tolist()]
            used += len(level) * sizes[n + 1]
            levels.append(level)
        return PathTree(levels)

    def _shares(self, n: int, x: Tensor, tree: PathTree) -> Tensor:
        """Largest share of a signal's energy in every candidate of layer n + 1, ``(n_parents, n_atoms)``."""
        chunks = []
        for chunk in self._batches(x):
            total = self.grid.energy(chunk).clamp_min(torch.finfo(torch.float64).tiny)
            nodes = self._expand(chunk.unsqueeze(1), (Path(()),), 0, tree)
            energies = [self._candidate_energies(n, self.grids[n].fft(block.U)) for m, block in nodes if m == n]
            chunks.append((torch.cat(energies, 1) / total[:, None, None]).amax(0))
        return torch.stack(chunks).amax(0)

    def frozen(self, features: Features) -> FeatureExtractor:
        """The extractor restricted to the paths of `features`, so that distances compare equal path sets."""
        return self.rebuilt(paths=FixedPaths(features.paths))

    def rebuilt(self, **changes: Any) -> FeatureExtractor:
        """A new extractor with some constructor arguments changed, on the same device."""
        arguments = {
            "layers": self.layers,
            "grid": self.grid,
            "final": self.final,
            "paths": self.path_rule,
            "sampling": self.sampling,
            "complex_input": self.complex_input,
            "dtype": self.dtype,
            "max_bytes": self.max_bytes,
            "reference": self.reference,
        }
        return FeatureExtractor(**(arguments | changes)).to(self.device)


def _check_arguments(layers: Any, grid: Any, final: Any, paths: Any, sampling: str, dtype: Any, reference: Any) -> None:
    check_sampling("FeatureExtractor", sampling)
    if not isinstance(layers, Sequence) or not layers or not all(isinstance(layer, Layer) for layer in layers):
        raise TypeError(
            f"`FeatureExtractor(layers=...)`: got {layers!r}, expected a non-empty list of `Layer` instances."
        )
    for name, value, base in (("grid", grid, Grid), ("paths", paths, PathRule)):
        if not isinstance(value, base):
            raise TypeError(f"`FeatureExtractor({name}=...)`: got {value!r}, expected a {base.__name__} instance.")
    for name, value, base in (("final", final, Frame), ("reference", reference, Grid)):
        if value is not None and not isinstance(value, base):
            raise TypeError(f"`FeatureExtractor({name}=...)`: got {value!r}, expected a {base.__name__} instance.")
    if reference is not None and reference.ndim != grid.ndim:
        raise ValueError(f"`FeatureExtractor(reference=...)`: got {reference}, expected {grid.ndim} axes as in {grid}.")
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"`FeatureExtractor(dtype=...)`: got {dtype}, expected torch.float32 or torch.float64.")


def _storable(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Real buffer: complex values as a trailing axis of length 2, so that `.float()` does not drop imaginary parts."""
    tensor = tensor.detach()
    return (torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor).to(dtype).contiguous()


def _usable(buffer: Tensor, ndim: int) -> Tensor:
    return torch.view_as_complex(buffer) if buffer.ndim == ndim + 1 else buffer


def _hermitian(bank: Bank) -> bool:
    mirrored = bank.grid.mirror(bank.output)
    return bool(((bank.output - mirrored.conj()).abs().max() <= 1e-14 * bank.output.abs().max()).item())


def _abs2(x: Tensor) -> Tensor:
    return (x.real.double() ** 2 + x.imag.double() ** 2) if x.is_complex() else x.double() ** 2
