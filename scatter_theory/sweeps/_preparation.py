"""What is decided before an extraction starts: device, precision, chunks, and where features come from."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import numpy as np
import torch

from scatter_theory.constants import Provenance
from scatter_theory.network import FeatureExtractor
from scatter_theory.sweeps._sources import Source
from scatter_theory.sweeps._zarr import Layout, empty_features

#: Bytes of features, in the precision of the extractor, that a chunk has at most, and the most signals.
CHUNK_BYTES, CHUNK_SIGNALS = 64 * 2**20, 4096

#: Types of the output for real and for complex features.
_TYPES = {
    "float16": {"real": "float16"},
    "float32": {"real": "float32", "complex": "complex64"},
    "float64": {"real": "float64", "complex": "complex128"},
}


def check(phi: Any, dtype: str) -> None:
    """Refuse what is no extractor with fixed paths, and unknown types."""
    if not isinstance(phi, FeatureExtractor):
        raise TypeError(f"`extract(phi=...)`: got {type(phi).__name__}, expected a FeatureExtractor.")
    if phi.path_rule.signal_dependent:
        raise ValueError(
            f"`extract(phi=...)`: {phi.path_rule!r} chooses paths by the signals, so that chunks would have different "
            "features. Choose them once and freeze them: `phi.frozen(phi(f))`."
        )
    if dtype not in _TYPES:
        raise ValueError(f"`extract(dtype=...)`: got {dtype!r}, expected one of {list(_TYPES)}.")


def placed(phi: FeatureExtractor, device: Any, executor: Any) -> FeatureExtractor:
    """The extractor, or a copy of it on another device."""
    if device is None:
        device = "cuda" if executor is None and torch.cuda.is_available() else phi.device
    device = torch.device(device)
    same = device.type == phi.device.type and device.index in (None, phi.device.index)
    return phi if same else copy.deepcopy(phi).to(device)


def lossless(values: np.ndarray, phi: FeatureExtractor) -> np.ndarray:
    """Signals in the precision of the extractor, exactly."""
    wanted = torch.empty(0, dtype=phi.signal_dtype).numpy().dtype
    # Whole numbers of so many bits are exact if they fit into the mantissa; numpy's own rule lets 64 bits pass.
    whole = values.dtype.kind in "iu" and values.dtype.itemsize * 8 <= np.finfo(wanted).nmant + 1
    if not whole and (values.dtype.kind not in "fc" or not np.can_cast(values.dtype, wanted, "safe")):
        raise TypeError(
            f"`data`: got numbers of type {values.dtype}, which {wanted}, the type of the extractor's signals, cannot "
            "hold without loss. Convert the data, or build the extractor with a wider type"
            f"{'' if values.dtype.kind != 'c' else ' and complex_input=True'}."
        )
    return values.astype(wanted)


def layout_of(phi: FeatureExtractor, source: Source, dtype: str, chunk: int | None) -> Layout:
    """Shapes, types and chunks of the group."""
    layers = list(empty_features(phi))
    shapes = tuple(tuple(layer.values.shape[1:]) for layer in layers)
    kinds = ["complex" if layer.values.is_complex() else "real" for layer in layers]
    if "complex" in kinds and "complex" not in _TYPES[dtype]:
        raise ValueError(f"`extract(dtype={dtype!r})`: the features are complex; expected 'float32' or 'float64'.")
    size = sum(int(np.prod(s)) * layer.values.element_size() for s, layer in zip(shapes, layers, strict=True))
    if chunk is None:
        chunk = max(1, min(CHUNK_BYTES // max(size, 1), CHUNK_SIGNALS))
    elif isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
        raise ValueError(f"`extract(chunk=...)`: got {chunk!r}, expected a whole number of signals >= 1.")
    return Layout(source.count, min(chunk, source.count), shapes, tuple(_TYPES[dtype][kind] for kind in kinds))


def provenance_of(phi: FeatureExtractor, source: Source) -> dict[str, Any]:
    """What decides the features (``extractor``, ``atoms``, ``source``), and under what they were made."""
    digest = hashlib.sha256()
    for bank in phi.banks:
        for spectra in (bank.spectra, bank.output):
            digest.update(np.ascontiguousarray(spectra.detach().cpu().numpy()).view(np.uint8))
    made = Provenance.now(str(phi), dtype=str(phi.dtype), device=str(phi.device), grid=str(phi.grid))
    engine = {"engine": phi.engine, "oversampling": phi.oversampling, "dtype": str(phi.dtype)}
    return {
        "extractor": f"{phi}", "engine": engine, "atoms": digest.hexdigest(), "source": source.describe(),
        "versions": dict(made.versions), "device": made.device, "date": made.date,
    }  # fmt: skip
