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
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from scatter_theory import certificates
from scatter_theory.arguments import check_arguments, check_engine, check_rule
from scatter_theory.constants import Constant
from scatter_theory.description import layer_table
from scatter_theory.engine import (
    EngineError,
    FullGrid,
    NetworkPlanner,
    NotTrained,
    Plan,
    Prediction,
    Run,
    Snapshot,
    Weights,
    check_full,
    check_memory,
    collect,
    emitted_shape,
    fitted,
    held,
    hermitian,
    measured_error,
    predict,
    predict_full,
    probes,
    signals_with_gradient,
    storable,
    structure,
    usable,
)
from scatter_theory.features import Features, LayerFeatures, Part
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
    structural_tree,
)
from scatter_theory.poolings import Sampling


@dataclass(frozen=True, eq=False)
class Step:
    """One node of the network: the propagated maps U[q]f ``(*batch, *shape)`` and what they emit."""

    path: Path
    U: Tensor
    S: Tensor
    grid: Grid


Engine = Literal["exact", "fast"]


class AdmissibilityWarning(UserWarning):
    """A network whose layers may expand distances was built; its certified constant replaces 1 in the bounds."""


class FeatureExtractor(nn.Module):
    r"""Deep feature extractor; every layer may differ in everything.

    Weights of learned frames are parameters of the extractor, and the atoms follow them: a pass of the exact engine
    makes them anew, with gradients, and `banks`, bounds and plans are made anew whenever weights have changed. The fast
    engine holds atoms as constants: it evaluates learned frames, reading their weights on the host in every pass, and
    refuses to train them.

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
        ``torch.float64`` or ``torch.float32``: precision of the atoms and of the computation. Default: float64 for the
        exact engine, float32 for the fast one.
    max_bytes : int
        Refuse networks whose features of a single signal would need more memory than this.
    memory : int, optional
        Bytes that a pass may use beside the atoms: features and intermediate results, as predicted. Chunks are made
        smaller until they fit, with the same results. Default: half of what is free on the device.
    reference : Grid, optional
        Grid to whose sampling rate the frames' J and M refer; default: `grid`. With a finer `grid` and the coarse one
        as `reference` the same continuous network is sampled more finely.
    engine : {"exact", "fast"}
        ``"exact"``: every map on the full grid. ``"fast"``: every map on the coarsest grid that holds its atom, with
        an error that is measured; needs structural path rules. See `error` and `plan`.
    oversampling : float
        Samples per axis and frequency of an atom on the grids of the fast engine, at least 1; larger values are slower
        and nearer to the full grid.

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
        dtype: torch.dtype | None = None,
        max_bytes: int = 4 * 2**30,
        memory: int | None = None,
        reference: Grid | None = None,
        engine: Engine = "exact",
        oversampling: float = 2.0,
    ) -> None:
        super().__init__()
        check_arguments(layers, grid, final, paths, sampling, dtype, reference)
        check_engine(engine, oversampling, paths)
        dtype = dtype if dtype is not None else (torch.float64 if engine == "exact" else torch.float32)
        self.engine: Engine = engine
        self.oversampling = float(oversampling)
        self.layers = tuple(layers)
        self.final = final if final is not None else self.layers[-1].frame
        self.path_rule = paths
        self.sampling: Sampling = sampling
        self.complex_input = complex_input
        self.reference = reference if reference is not None else grid
        self.max_bytes = max_bytes
        self.memory = check_memory("FeatureExtractor", memory)
        found = [frame.modules() for frame in (*(layer.frame for layer in self.layers), self.final)]
        self._learns = frozenset(n for n, modules in enumerate(found) if modules)
        if self._learns:
            #: Modules with the weights of learned frames, each once.
            self.learned = nn.ModuleList({id(m): m for modules in found for m in modules}.values())
            self._weights = Weights(self.learned)
        grids, real, banks = [grid], [not complex_input], []
        for n, layer in enumerate(self.layers):
            layer.pooling.lipschitz(grids[n], sampling)
            banks.append(bank_of(layer, grids[n], self.reference, real[n], f"layers[{n}]"))
            grids.append(layer.pooling.grid(grids[n], sampling))
            real.append(layer.keeps_real(real[n], banks[n]))
        #: Grids of layers 0..N.
        self.grids: tuple[Grid, ...] = tuple(grids)
        #: Whether the maps of layers 0..N are real for every real signal.
        self.real: tuple[bool, ...] = tuple(real)
        banks.append(self._bank(len(self.layers)))
        check_rule(paths, banks[:-1])
        self._banks = tuple(held(bank) if n in self._learns else bank for n, bank in enumerate(banks))
        device = self._weights.device if self._learns else None
        for n, bank in enumerate(banks):
            # A learned frame has no stored atoms: what is stored then tells the precision and the device.
            output = bank.output if n not in self._learns else torch.empty(0)
            self.register_buffer(f"_output_{n}", storable(output, dtype).to(device), persistent=False)
            if n < len(self.layers) and n not in self._learns and engine == "exact":
                self.register_buffer(f"_spectra_{n}", storable(bank.spectra, dtype).to(device), persistent=False)
        self._real_output = tuple(hermitian(bank) for bank in banks)
        self._tree = self._structural_tree() if isinstance(paths, StructuralRule) else None
        self._scales = {n: self._scales_of(level) for n, level in enumerate(self._tree.levels if self._tree else ())}
        self._plan = self._fast_plan() if engine == "fast" else None
        self._probe_error: EngineError | None = None
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

    # ------------------------------------------------------------------ atoms

    def _bank(self, n: int) -> Bank:
        """Bank of layer n + 1, or the final one for n = N, as its frame makes it now."""
        if n < len(self.layers):
            return bank_of(self.layers[n], self.grids[n], self.reference, self.real[n], f"layers[{n}]")
        # Only the output atom of this bank is used, so that a half bank is as good as a full one.
        sided = "half" if self.real[n] else "both"
        return self.final.on(self.grids[n], reference=self.reference, sided=sided, real=self.real[n])

    @property
    def banks(self) -> tuple[Bank, ...]:
        """Banks of layers 1..N and the final one (float64); only the output atom of the last is used.

        Those of learned frames have the present weights and no gradients: ``frame.on(grid)`` has them.
        """
        self._refresh()
        return self._banks

    @property
    def _full(self) -> FullGrid:
        """The exact executor, with the atoms of this moment."""
        if not self._learns:
            return FullGrid(self)
        banks = [self._bank(n).to(dtype=self.dtype) if n in self._learns else b for n, b in enumerate(self._banks)]
        return FullGrid(Snapshot(self, tuple(banks), self._learns))

    def _refresh(self) -> None:
        """Make the banks of learned frames and the plan anew if weights have changed since."""
        if not self._learns or not self._weights.changed(self.learned):
            return
        weights = Weights(self.learned)
        with torch.inference_mode(False), torch.no_grad():  # They are used again where gradients are wanted.
            banks = tuple(held(self._bank(n)) if n in self._learns else b for n, b in enumerate(self._banks))
        for n in self._learns:
            if structure(banks[n]) != structure(self._banks[n]):
                raise RuntimeError(
                    f"`FeatureExtractor`: with other weights the frame of layer {n + 1} has other atoms: "
                    f"{structure(banks[n])} instead of {structure(self._banks[n])}. Their number, labels and kind "
                    "must not depend on weights, see `Frame.modules`."
                )
        self._banks, self._weights, self._probe_error = banks, weights, None
        if self.engine == "fast":
            self._plan = self._fast_plan()

    def _untrained(self, values: Tensor) -> Tensor:
        """The values of the fast engine: unchanged, but a backward pass towards the weights of frames raises."""
        weights = [w for w in self.learned.parameters() if w.requires_grad] if self._learns else []
        if self.engine == "exact" or not weights or not torch.is_grad_enabled():
            return values
        return values + NotTrained.apply(*weights)

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

    def plan(self, batch: int = 1) -> Prediction:
        """Paths, Fourier transforms, operations, coefficients and bytes of a batch, before anything runs.

        Raises
        ------
        ValueError
            If the path rule chooses paths by the signals, so that their number is unknown.
        """
        self._refresh()
        if self._plan is not None:
            return predict(self._plan, batch)
        if self._tree is None:
            raise ValueError(f"`plan`: {self.path_rule!r} chooses paths by the signals, so their number is unknown.")
        return predict_full(self, self._tree, self.dtype, batch)

    def error(self, f: Tensor | np.ndarray | None = None) -> EngineError:
        """Distance of the fast engine's features from those on the full grid in float64, measured.

        Takes as long as the exact engine on these signals; the result for the probes is kept.

        Parameters
        ----------
        f : (*batch, *grid.shape) tensor or array, optional
            Signals. Default: probes that are hard for coarse sampling: white noise, a spike, beats of two tones.

        Returns
        -------
        EngineError
            A measurement on these signals, not a bound for all. Zero for the exact engine.

        Raises
        ------
        TypeError, ValueError
            As `forward`.
        """
        self._refresh()
        if self._plan is None:
            return EngineError((0.0,) * (self.depth + 1), "any signal", 0)
        if f is None:
            if self._probe_error is None:
                signals, names = probes(self.grid, self.banks[0], self._plan, torch.Generator().manual_seed(0))
                self._probe_error = self._measured_error(signals.to(self.device, self.signal_dtype), names)
            return self._probe_error
        x = self.prepare(f).reshape(-1, *self.grid.shape)
        return self._measured_error(x, [f"signal {i}" for i in range(x.shape[0])])

    @torch.no_grad()
    def _measured_error(self, x: Tensor, names: list[str]) -> EngineError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AdmissibilityWarning)
            exact = self.rebuilt(engine="exact", dtype=torch.float64)
        values = [layer.values for layer in self.forward(x)]
        return measured_error(self._plan, values, exact._full, self._tree, x.to(exact.signal_dtype), names)

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
        MemoryError
            If the batch does not fit the budget, see `memory`; `stream` may.
        """
        x = self.prepare(f, check_finite=check_finite)
        batch = x.shape[: x.ndim - self.grid.ndim]
        x = x.reshape(-1, *self.grid.shape)
        if self.engine == "fast":
            self._refresh()
        plan = self._plan
        full = self._full if plan is None else None
        tree = self._tree_for(x, full)
        values, remainder, pruned = self._collected(x, tree, full)
        layers = []
        for n, level in enumerate(tree.levels):
            scales = self._scales.get(n) if tree is self._tree else None
            scales = scales if scales is not None else self._scales_of(level)
            grid = self.grids[n] if plan is None else self.grids[n].resampled(plan.layers[n].shape)
            layers.append(LayerFeatures(n, tuple(level), scales, values[n].reshape(*batch, *values[n].shape[1:]), grid))
        energies = (tuple(r.reshape(batch) for r in remainder), pruned.reshape(batch))
        return Features(tuple(layers), *energies, error_source=self.error if plan is not None else None)

    def _collected(self, x: Tensor, tree: PathTree, full: FullGrid | None) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Values, energies of the maps and dropped energy, within the budget; the exact engine has an executor."""
        if full is not None:
            need = predict_full(full.network, tree, self.dtype, len(x))
            check_full("FeatureExtractor", need, self.device, self.memory)
            return full.collect(x, tree)
        arguments = (len(x), self.device, self.memory)
        plan = fitted("FeatureExtractor", self._plan, *arguments)
        recorded = torch.is_grad_enabled() and x.requires_grad
        kept = signals_with_gradient("FeatureExtractor", plan, *arguments) if recorded else None
        values, remainder, pruned = collect(plan, x, book=True, kept=kept)
        return [self._untrained(v) for v in values], [self._untrained(r) for r in remainder], self._untrained(pruned)

    def stream(self, f: Tensor | np.ndarray) -> Iterator[Part]:
        """Features a few paths at a time, for outputs larger than memory: nothing is kept.

        Parameters
        ----------
        f : (*batch, *grid.shape) tensor or array
            As for `forward`.

        Yields
        ------
        Part
            In no particular order; together they are the features of `forward`, each value once.

        Raises
        ------
        TypeError, ValueError, MemoryError
            As `forward`; here only the intermediate results count against the budget.

        Examples
        --------
        >>> import torch, scatter_theory as st
        >>> phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=3))], st.Grid.line(64), engine="fast")
        >>> sum(part.values.shape[1] for part in phi.stream(torch.ones(2, 64)))
        4
        """
        x = self.prepare(f).reshape(-1, *self.grid.shape)
        if self.engine == "exact":
            full = self._full
            tree = self._tree_for(x, full)
            rows = [{q: i for i, q in enumerate(level)} for level in tree.levels]
            start = 0
            for chunk in full.batches(x):
                signals = slice(start, start + len(chunk))
                for n, block in full.blocks(chunk, tree):
                    places = np.array([rows[n][q] for q in block.paths], np.int64)
                    yield Part(n, signals, places, tuple(block.paths), block.S, self.grids[n])
                start = signals.stop
            return
        self._refresh()
        tree = self._tree
        plan = fitted("FeatureExtractor", self._plan, len(x), self.device, self.memory, streamed=True)
        grids = [grid.resampled(layout.shape) for grid, layout in zip(self.grids, plan.layers, strict=True)]
        run = Run(plan)
        for signals in run.batches(x):
            for piece in run(x[signals]):
                n = piece.group.layer
                paths = tuple(tree.levels[n][i] for i in piece.rows)
                yield Part(n, signals, piece.rows, paths, self._untrained(piece.values), grids[n])

    def walk(self, f: Tensor | np.ndarray) -> Iterator[Step]:
        """Nodes of the network in depth-first order, one path at a time."""
        x = self.prepare(f)
        batch = x.shape[: x.ndim - self.grid.ndim]
        x = x.reshape(-1, *self.grid.shape)
        full = self._full
        for n, block in full.blocks(x, self._tree_for(x, full)):
            for i, path in enumerate(block.paths):
                shape = (*batch, *self.grids[n].shape)
                yield Step(path, block.U[:, i].reshape(shape), block.S[:, i].reshape(shape), self.grids[n])

    def propagate(self, f: Tensor | np.ndarray, path: Sequence[int]) -> Tensor:
        """Propagated maps ``U[q] f`` of one path, ``(*batch, *grid_n.shape)``.

        Raises ValueError for a path with an entry that is no atom of its layer.
        """
        U, full = self.prepare(f), self._full
        for n, index in enumerate(path):
            if not (n < self.depth and 0 <= index < len(full.network.banks[n])):
                raise ValueError(f"`propagate(path={tuple(path)})`: entry {n} is not an atom of layer {n + 1}.")
            U = full.propagate(n, self.grids[n].fft(U) * full.network.atoms(n)[index], U.is_complex())
        return U

    def prepare(self, f: Tensor | np.ndarray, *, check_finite: bool = True) -> Tensor:
        """Checked copy-free tensor in the extractor's precision; raises as `forward`."""
        return prepare(
            f, self.grid, self.dtype, self.device, complex_input=self.complex_input, check_finite=check_finite
        )

    def atoms(self, n: int) -> Tensor:
        """Spectra ``(n_atoms, *shape)`` of the propagating atoms of layer n + 1, in the extractor's precision."""
        if n in self._learns:
            return self._bank(n).to(dtype=self.dtype).spectra
        if self.engine == "fast":
            return self.banks[n].to(device=self.device, dtype=self.dtype).spectra
        return usable(getattr(self, f"_spectra_{n}"), self.grids[n].ndim + 1)

    def output_atom(self, n: int) -> Tensor:
        """Spectrum ``(*shape)`` of the output atom of layer n, in the extractor's precision."""
        if n in self._learns:
            return self._bank(n).to(dtype=self.dtype).output
        return usable(getattr(self, f"_output_{n}"), self.grids[n].ndim)

    def emits_real(self, n: int) -> bool:
        """Whether the output atom of layer n keeps real maps real."""
        return self._real_output[n]

    def _scales_of(self, level: Sequence[Path]) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(self.banks[k].atoms[i].scale for k, i in enumerate(q)) for q in level)

    def _tree_for(self, x: Tensor, full: FullGrid | None) -> PathTree:
        if self._tree is not None:
            return self._tree
        assert isinstance(self.path_rule, EnergyRule) and full is not None
        return full.energy_tree(x, self.path_rule)

    # ------------------------------------------------------------------ paths

    def bytes_per_path(self) -> list[int]:
        """Bytes of the features of one path and one signal, for layers 0..N."""
        item = torch.finfo(self.dtype).bits // 8
        parts = [1 if real and output else 2 for real, output in zip(self.real, self._real_output, strict=True)]
        shapes = map(emitted_shape, self.banks) if self.engine == "fast" else (grid.shape for grid in self.grids)
        return [math.prod(shape) * item * part for shape, part in zip(shapes, parts, strict=True)]

    def _fast_plan(self) -> Plan:
        arguments = (self.layers, self.grids, self.banks, self.real, self._tree, self.path_rule, self.sampling)
        return NetworkPlanner(*arguments, self.oversampling, self.dtype).plan()

    def _structural_tree(self) -> PathTree:
        assert isinstance(self.path_rule, StructuralRule)
        octaves = [math.log2(layer.pooling.factor) for layer in self.layers]
        atoms = [bank.atoms for bank in self.banks[:-1]]
        return structural_tree(self.path_rule, atoms, octaves, self.bytes_per_path(), self.max_bytes)

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
            "memory": self.memory,
            "reference": self.reference,
            "engine": self.engine,
            "oversampling": self.oversampling,
        }
        return FeatureExtractor(**(arguments | changes)).to(self.device)
