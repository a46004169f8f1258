"""What an extractor returns: features by layer and path, with their norms and energies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from scatter_theory.grid import Grid
from scatter_theory.optional import data_frame, xarray
from scatter_theory.paths import Path


@dataclass(frozen=True, eq=False)
class LayerFeatures:
    """Features ``(U[q] f) * chi_n`` of one layer.

    Parameters
    ----------
    n : int
        Layer; 0 is the input layer.
    paths : tuple of Path
        Paths of length n, in lexicographic order.
    scales : tuple of tuple of float
        Scales of the atoms along each path.
    values : (*batch, n_paths, *grid.shape) tensor
        The features.
    grid : Grid
        The grid of this layer.
    """

    n: int
    paths: tuple[Path, ...]
    scales: tuple[tuple[float, ...], ...]
    values: Tensor
    grid: Grid

    def energy(self) -> Tensor:
        """Energy of every path, ``(*batch, n_paths)``, float64."""
        return self.grid.energy(self.values)

    def coordinates(self) -> dict[str, np.ndarray]:
        """Name and labels of every axis of `values`, in their order.

        Batch axes are ``signal``, or ``signal_0``, ``signal_1``, ... where there are several, and count from 0.
        ``path`` holds the indices of the atoms, such as ``"(3, 7)"``, and ``"()"`` for the input layer. ``x``, ``y``,
        ``z`` are positions on the grid of this layer, in its unit.
        """
        batch = self.values.shape[: self.values.ndim - self.grid.ndim - 1]
        names = ["signal"] if len(batch) == 1 else [f"signal_{k}" for k in range(len(batch))]
        axes = {name: np.arange(n) for name, n in zip(names, batch, strict=True)}
        axes["path"] = np.array([str(tuple(q)) for q in self.paths], dtype=object)
        positions = zip("xyz", self.grid.shape, self.grid.spacing, strict=False)
        return axes | {axis: np.arange(n) * h for axis, n, h in positions}

    def to_xarray(self) -> Any:
        """`values` as an ``xarray.DataArray`` with the axes of `coordinates`; paths also have a ``scale``.

        The scale is that of the last atom of the path, NaN for the input layer. Positions have the attribute ``units``.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        module, axes = xarray("LayerFeatures", "`values` and `coordinates()`"), self.coordinates()
        units = {"units": self.grid.unit}
        labels = {name: (name, x, units if name in ("x", "y", "z") else {}) for name, x in axes.items()}
        labels["scale"] = ("path", np.array([s[-1] if s else np.nan for s in self.scales], dtype=float), {})
        values = self.values.detach().cpu().numpy()
        return module.DataArray(values, labels, tuple(axes), name="features", attrs={"layer": self.n})


@dataclass(frozen=True, eq=False)
class Features:
    r"""Features of all layers.

    The norm is :math:`|||\Phi(f)|||^2 = \sum_n \sum_q \|(U[q]f) * \chi_n\|^2`.

    Parameters
    ----------
    layers : tuple of LayerFeatures
        Layers 0..N.
    remainder : tuple of (*batch,) tensors
        :math:`W_n = \sum_{|q| = n} \|U[q] f\|^2` for n = 0..N; ``W_0 = ||f||^2``. Only expanded paths count. Empty
        for a difference of features.
    pruned : (*batch,) tensor
        Energy :math:`\sum \|U[q]f * g_\lambda\|^2` of the candidates that the path rule dropped.
    error_source : callable, optional
        Where `error` comes from; None for features of the exact engine.
    """

    layers: tuple[LayerFeatures, ...]
    remainder: tuple[Tensor, ...]
    pruned: Tensor
    error_source: Callable[[], Any] | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """All paths, layer by layer."""
        return tuple(path for layer in self.layers for path in layer.paths)

    @property
    def residual_energy(self) -> Tensor:
        r"""Energy that left the last layer without being emitted, ``W_N - |||Phi^N(f)|||^2``, ``(*batch,)``.

        Raises
        ------
        ValueError
            For a selection or a difference of features, which have none.
        """
        if len(self.layers) != len(self.remainder):
            raise ValueError("`Features.residual_energy`: a selection or a difference of features has none.")
        return self.remainder[-1] - self.layers[-1].energy().sum(-1)

    @property
    def error(self) -> Any:
        """Measured distance from the features on the full grid, an `EngineError`; None if they are those.

        It is measured when it is first asked for, on probes (`FeatureExtractor.error`): that takes as long as a pass of
        the exact engine.
        """
        return self.error_source() if self.error_source is not None else None

    def __iter__(self) -> Iterator[LayerFeatures]:
        return iter(self.layers)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Refused with a TypeError: layers have grids of their own, so that there is no one array."""
        raise TypeError("`numpy.asarray(features)`: every layer has its own grid. Use `features.flatten().numpy()`.")

    def energy(self, by: Literal["layer", "path"] | None = None) -> Tensor:
        """Energy: total ``(*batch,)``, by layer ``(*batch, N + 1)`` or by path ``(*batch, n_paths)``; float64.

        Squares leave float64 where features are beyond 1e154, or all below 1e-162: the energy is then infinite, or 0.

        Raises ValueError unless `by` is None, ``"layer"`` or ``"path"``.
        """
        if by == "path":
            return torch.cat([layer.energy() for layer in self.layers], -1)
        if by not in (None, "layer"):
            raise ValueError(f"`Features.energy(by=...)`: got {by!r}, expected None, 'layer' or 'path'.")
        layers = torch.stack([layer.energy().sum(-1) for layer in self.layers], -1)
        return layers if by == "layer" else layers.sum(-1)

    def norm(self, by: Literal["layer", "path"] | None = None) -> Tensor:
        """Square root of `energy`."""
        return self.energy(by).sqrt()

    def minus(self, other: Features) -> Features:
        """Difference, path by path.

        Raises
        ------
        ValueError
            If the path sets differ: their distance would compare different features.
        """
        if self.paths != other.paths:
            raise ValueError(
                "`Features`: the two path sets differ, so that their distance is not that of one extractor. Freeze the "
                "paths with `FixedPaths(features.paths)`."
            )
        layers = tuple(
            LayerFeatures(a.n, a.paths, a.scales, a.values - b.values, a.grid)
            for a, b in zip(self.layers, other.layers, strict=True)
        )
        return Features(layers, (), torch.zeros_like(self.pruned))

    def distance(self, other: Features, by: Literal["layer", "path"] | None = None) -> Tensor:
        """Norm of the difference: total ``(*batch,)``, by layer or by path."""
        return self.minus(other).norm(by)

    def select(
        self, n: int | None = None, path: Path | tuple[int, ...] | None = None, scale: float | None = None
    ) -> Features:
        """Features of one layer, of one path, or of the paths whose last atom has a given scale.

        Raises
        ------
        KeyError
            If nothing matches.
        """
        layers = []
        for layer in self.layers:
            keep = [
                i
                for i, q in enumerate(layer.paths)
                if (n is None or layer.n == n)
                and (path is None or q == tuple(path))
                and (scale is None or (len(q) > 0 and abs(layer.scales[i][-1] - scale) < 1e-9))
            ]
            if keep:
                index = torch.tensor(keep, device=layer.values.device)
                axis = layer.values.ndim - layer.grid.ndim - 1
                layers.append(
                    LayerFeatures(
                        layer.n,
                        tuple(layer.paths[i] for i in keep),
                        tuple(layer.scales[i] for i in keep),
                        layer.values.index_select(axis, index),
                        layer.grid,
                    )
                )
        if not layers:
            raise KeyError(f"no features with n={n}, path={path}, scale={scale}; layers 0..{self.layers[-1].n} exist")
        return Features(tuple(layers), self.remainder, self.pruned)

    def flatten(self) -> Tensor:
        """All features as one vector per signal, ``(*batch, n_features)``, layer by layer, path by path."""
        parts = [layer.values.flatten(layer.values.ndim - layer.grid.ndim - 1) for layer in self.layers]
        return torch.cat(parts, -1)

    def to_frame(self) -> Any:
        """Table with one row per value, as a ``pandas.DataFrame``.

        Columns: ``layer``, the axes of `LayerFeatures.coordinates`, and ``value``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        columns: dict[str, list[np.ndarray]] = {}
        for layer in self.layers:
            axes = layer.coordinates()
            shape = tuple(map(len, axes.values()))
            row = {"layer": np.full(shape, layer.n)}
            for k, (name, labels) in enumerate(axes.items()):
                row[name] = np.broadcast_to(
                    np.expand_dims(labels, tuple(i for i in range(len(shape)) if i != k)), shape
                )
            row["value"] = layer.values.detach().cpu().numpy()
            for name, values in row.items():
                columns.setdefault(name, []).append(values.ravel())
        joined = {name: np.concatenate(parts) for name, parts in columns.items()}
        return data_frame("Features", joined, "`flatten()` or the layers' `values` and `coordinates()`")

    def to_xarray(self) -> Any:
        """An ``xarray.DataTree`` with one node per layer, ``"layer0"``, ``"layer1"``, ..., and ``features`` in each.

        It is a tree, as layers have grids of their own; see `LayerFeatures.to_xarray` for their axes.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        module = xarray("Features", "the layers' `values` and `coordinates()`")
        return module.DataTree.from_dict({f"layer{layer.n}": layer.to_xarray().to_dataset() for layer in self.layers})

    def plot(self, ax: Any = None, *, signal: int = 0, **style: Any) -> Any:
        """Draw the features of one signal of the batch, layer by layer; returns the display object."""
        from scatter_theory import plot

        return plot.FeaturesDisplay.from_features(self, signal).plot(ax=ax, **style)

    def __repr__(self) -> str:
        counts = ", ".join(str(len(layer.paths)) for layer in self.layers)
        batch = tuple(self.pruned.shape)
        return f"Features(batch {batch}, paths per layer: {counts}, grid {self.layers[-1].grid.shape})"


@dataclass(frozen=True, eq=False)
class Part:
    """Features of some paths of one layer, for some signals.

    Parameters
    ----------
    n : int
        Layer; 0 is the input layer.
    signals : slice
        Which signals of the batch, all batch axes flattened into one.
    rows : (n_paths,) int64 array
        Positions of the paths among those of the layer, as in ``phi(f).layers[n]``.
    paths : tuple of Path
    values : (n_signals, n_paths, *grid.shape) tensor
    grid : Grid
    """

    n: int
    signals: slice
    rows: np.ndarray
    paths: tuple[Path, ...]
    values: Tensor
    grid: Grid
