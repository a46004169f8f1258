"""An extractor as a map from rows of samples to rows of named features."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scatter_theory.network import FeatureExtractor
from scatter_theory.paths import StructuralRule
from scatter_theory.scattering import Scattering1D, Scattering2D

#: What `Rows.of` takes.
Extractor = FeatureExtractor | Scattering1D | Scattering2D


@dataclass(frozen=True, eq=False)
class Rows:
    """All features of a signal in one row, path by path, each in the order of its positions.

    Parameters
    ----------
    extractor : FeatureExtractor, Scattering1D or Scattering2D
    shape : tuple of int
        Samples of one signal.
    paths : tuple of str
        Name of each path, such as ``"order1 (j=1, theta=3)"`` or ``"layer1 (j=1,l=3)"``.
    outputs : tuple of tuple of int
        Samples of the features of each path.
    """

    extractor: Extractor
    shape: tuple[int, ...]
    paths: tuple[str, ...]
    outputs: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, owner: str, extractor: Extractor) -> Rows:
        """Rows of an extractor; `owner` is named in messages.

        Raises
        ------
        TypeError
            For anything but an extractor of this package.
        ValueError
            If paths are chosen by the signals, or signals or features are complex.
        """
        if not isinstance(extractor, Extractor):
            raise TypeError(
                f"`{owner}(extractor=...)`: got {type(extractor).__name__}, expected a FeatureExtractor, Scattering1D "
                "or Scattering2D, or None for one that is made of the other parameters."
            )
        if extractor.complex_input:
            raise ValueError(
                f"`{owner}(extractor=...)`: it takes complex signals, but tables of samples are real. Build it without "
                "`complex_input=True`."
            )
        if isinstance(extractor, FeatureExtractor):
            if not isinstance(extractor.path_rule, StructuralRule):
                raise ValueError(
                    f"`{owner}(extractor=...)`: {extractor.path_rule!r} chooses paths by the signals, so that columns "
                    "would change their meaning. Freeze them first: `extractor.frozen(extractor(signals))`."
                )
            shape = extractor.grid.shape
        else:
            shape = extractor.padded_shape if getattr(extractor, "pre_pad", False) else extractor.shape
        zeros = torch.zeros(1, *shape, dtype=extractor.dtype, device=_device(extractor))
        with torch.no_grad():
            found = _pieces(extractor, zeros)
        if any(piece.is_complex() for piece in found):
            raise ValueError(
                f"`{owner}(extractor=...)`: its features are complex, which a table of features cannot hold. Use a "
                "non-linearity with real values, such as `Modulus()`, and a real output atom."
            )
        names = _layer_names if isinstance(extractor, FeatureExtractor) else _order_names
        return cls(extractor, shape, tuple(names(extractor)), tuple(tuple(piece.shape[1:]) for piece in found))

    @property
    def n_samples(self) -> int:
        """Length of a row of samples."""
        return math.prod(self.shape)

    @property
    def n_features(self) -> int:
        """Length of a row of features."""
        return sum(map(math.prod, self.outputs))

    @property
    def dtype(self) -> np.dtype:
        """Precision of the features."""
        return np.dtype(str(self.extractor.dtype).removeprefix("torch."))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Features ``(n, n_features)`` of samples ``(n, n_samples)``, which are converted to the precision."""
        device = _device(self.extractor)
        signals = torch.tensor(rows, dtype=self.extractor.dtype, device=device).reshape(-1, *self.shape)
        with torch.no_grad():
            found = _pieces(self.extractor, signals)
        return torch.cat([piece.flatten(1) for piece in found], 1).cpu().numpy()

    def names(self) -> np.ndarray:
        """Name of each feature: path and indices of the position, such as ``"order1 (j=1, theta=3) [4, 2]"``."""
        return np.array(
            [
                f"{path} [{', '.join(map(str, index))}]"
                for path, shape in zip(self.paths, self.outputs, strict=True)
                for index in np.ndindex(*shape)
            ],
            dtype=object,
        )


def _device(extractor: Extractor) -> torch.device:
    return next(extractor.buffers()).device


def _pieces(extractor: Extractor, signals: Tensor) -> list[Tensor]:
    """Features ``(n, *output)`` of every path."""
    found = extractor(signals)
    if isinstance(extractor, FeatureExtractor):
        return [value for layer in found for value in layer.values.unbind(1)]
    if isinstance(found, Tensor):
        return list(found.unbind(1))
    return list(found.values()) if isinstance(found, dict) else [entry["coef"] for entry in found]


def _layer_names(extractor: FeatureExtractor) -> list[str]:
    zeros = torch.zeros(extractor.grid.shape, dtype=extractor.dtype, device=extractor.device)
    with torch.no_grad():
        paths = extractor(zeros).paths
    banks = extractor.banks
    return [" ".join([f"layer{q.n}", *(f"({banks[k].atoms[i].label})" for k, i in enumerate(q))]) for q in paths]


def _order_names(extractor: Scattering1D | Scattering2D) -> list[str]:
    """From the table of paths: scale and direction, or, on a line, scale and index of the wavelet."""
    meta = extractor.meta()
    fields = ("j", "theta") if "theta" in meta else ("j", "n")
    names = []
    for row, q in enumerate(meta["key"]):
        atoms = (", ".join(f"{f}={int(meta[f][row, n])}" for f in fields) for n in range(len(q)))
        names.append(" ".join([f"order{len(q)}", *(f"({atom})" for atom in atoms)]))
    return names
