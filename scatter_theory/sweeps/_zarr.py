"""Features on disk: a zarr group (version 3) with one array per layer, a table of paths, and where they come from."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scatter_theory.features import Features
from scatter_theory.network import FeatureExtractor

#: Version of the layout of the group.
LAYOUT = 1

#: Entries of the provenance that decide what the features are.
DECISIVE = ("extractor", "engine", "atoms", "source")

#: Stands in the checksums for a chunk that is not there yet.
MISSING = -1


def require_zarr() -> Any:
    """The package zarr.

    Raises
    ------
    ImportError
        If it is not installed, or older than version 3.
    """
    try:
        import zarr
    except ImportError as error:
        raise ImportError(
            "`extract`: zarr is not installed, expected the package `zarr`, version 3; install it with "
            "`pip install scatter_theory[sweep]`."
        ) from error
    if int(zarr.__version__.split(".")[0]) < 3:
        raise ImportError(f"`extract`: zarr {zarr.__version__} is installed, expected version 3 or newer.")
    return zarr


@dataclass(frozen=True)
class Layout:
    """Shapes of the group.

    Parameters
    ----------
    signals : int
    chunk : int
        Signals per chunk.
    shapes : tuple of tuple of int
        Of one signal's features, for layers 0..N: ``(n_paths, *grid.shape)``.
    dtypes : tuple of str
        Of the arrays.
    """

    signals: int
    chunk: int
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]

    @property
    def starts(self) -> range:
        """Places of the first signals of all chunks."""
        return range(0, self.signals, self.chunk)

    @property
    def nbytes(self) -> int:
        """Bytes of all features."""
        sizes = (int(np.prod(s)) * np.dtype(t).itemsize for s, t in zip(self.shapes, self.dtypes, strict=True))
        return self.signals * sum(sizes)


def create(
    path: Path, layout: Layout, phi: FeatureExtractor, provenance: Mapping[str, Any], names: Sequence[str]
) -> None:
    """Make the group with its arrays, still empty: under another name first, to be there whole or not at all."""
    making = path.with_name(f"{path.name}.making")
    if making.exists():
        shutil.rmtree(making)
    group = require_zarr().create_group(making, zarr_format=3)
    for n, (shape, dtype) in enumerate(zip(layout.shapes, layout.dtypes, strict=True)):
        axes = ("signal", "path", *(f"axis_{k}" for k in range(phi.grid.ndim)))
        _array(group, f"layer_{n}", (layout.signals, *shape), (layout.chunk, *shape), dtype, 0, axes)
    chunks, layers = len(layout.starts), len(layout.shapes)
    _array(group, "checksums", (chunks, layers), (1, layers), "int64", MISSING, ("chunk", "layer"))
    if names:
        text = np.frombuffer("\n".join(names).encode(), np.uint8)
        _array(group, "names", text.shape, text.shape, "uint8", 0, ("byte",))[:] = text
    group.attrs.update({"layout": LAYOUT, "layers": path_table(phi), "provenance": dict(provenance)})
    making.rename(path)


def _array(
    group: Any, name: str, shape: Sequence[int], chunks: Sequence[int], dtype: str, fill: int, axes: Sequence[str]
) -> Any:
    return group.create_array(
        name, shape=tuple(shape), chunks=tuple(chunks), dtype=dtype, compressors=None, fill_value=fill,
        dimension_names=tuple(axes),
    )  # fmt: skip


def existing(path: Path, layout: Layout, provenance: Mapping[str, Any]) -> None:
    """Refuse a folder that is no group of ours, or one of another extractor, data set or layout.

    Raises
    ------
    ValueError
        The message names what differs.
    """
    try:
        attributes = dict(_group(path).attrs)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"`store`: {path} exists and is no zarr group ({error}); give a new name.") from error
    if attributes.get("layout") != LAYOUT:
        raise ValueError(
            f"`store`: {path} is a zarr group of layout {attributes.get('layout')}, expected {LAYOUT}: it was made by "
            "something else. Give a new name."
        )
    stored = attributes["provenance"]
    arrays = [_group(path)[f"layer_{n}"] for n in range(len(attributes["layers"]))]
    shapes = [(a.shape, a.chunks, str(a.dtype)) for a in arrays]
    wanted = [((layout.signals, *s), (layout.chunk, *s), t) for s, t in zip(layout.shapes, layout.dtypes, strict=True)]
    different = [name for name in DECISIVE if stored.get(name) != provenance[name]]
    if shapes != wanted:
        different.append("shape, chunk or dtype")
    if different:
        raise ValueError(
            f"`store`: {path} holds features of something else: different {', '.join(different)}. Remove it, give "
            "a new name, or repeat the call that made it."
        )


def tidied(path: Path) -> None:
    """Remove what interrupted writes left behind."""
    for file in path.rglob("*.partial"):
        file.unlink()


def empty_features(phi: FeatureExtractor) -> Features:
    """Features of no signal: paths, grids and types of all layers."""
    return phi(torch.zeros((0, *phi.grid.shape), dtype=phi.signal_dtype, device=phi.device))


def path_table(phi: FeatureExtractor) -> list[dict[str, Any]]:
    """One entry per layer: its grid, and for every path the indices, labels and scales of its atoms."""
    table = []
    for layer in empty_features(phi):
        atoms = [[phi.banks[k].atoms[i] for k, i in enumerate(path)] for path in layer.paths]
        table.append(
            {
                "grid": {"shape": layer.grid.shape, "spacing": layer.grid.spacing, "unit": layer.grid.unit},
                "paths": [list(path) for path in layer.paths],
                "labels": [[atom.label for atom in path] for path in atoms],
                "scales": [[None if math.isnan(atom.scale) else atom.scale for atom in path] for path in atoms],
            }
        )
    return table


def layer_arrays(path: str | Path) -> list[Any]:
    """The arrays of layers 0..N, for reading and writing."""
    group = _group(path)
    return [group[f"layer_{n}"] for n in range(len(group.attrs["layers"]))]


def _group(path: str | Path) -> Any:
    return require_zarr().open_group(path, mode="r+")


def finished(path: Path, layout: Layout, checksum: Any) -> list[int]:
    """Chunks whose stored values agree with their checksums."""
    stored, arrays = _group(path)["checksums"], layer_arrays(path)
    return [i for i, start in enumerate(layout.starts) if _agrees(stored, arrays, i, start, layout.chunk, checksum)]


def _agrees(stored: Any, arrays: Sequence[Any], i: int, start: int, size: int, checksum: Any) -> bool:
    try:
        sums = np.asarray(stored[i])
        if (sums == MISSING).any():
            return False
        return all(checksum(np.asarray(a[start : start + size])) == s for a, s in zip(arrays, sums, strict=True))
    except ValueError:  # A file that was cut off has too few numbers.
        return False


def mark(path: Path, chunk: int, sums: Sequence[int], layout: Layout, labels: np.ndarray | None) -> None:
    """Note that a chunk is finished, after its labels: its checksums are one small file, written in one step."""
    group = _group(path)
    if labels is not None:
        if "labels" not in group:
            _array(group, "labels", (layout.signals,), (layout.chunk,), "int64", MISSING, ("signal",))
        group["labels"][layout.starts[chunk] : layout.starts[chunk] + len(labels)] = labels
    group["checksums"][chunk] = np.asarray(sums, dtype=np.int64)
