r"""A model made ready for measuring: checked signals in, checked outputs out, with the norm that belongs to them.

The output of a function is measured in the Euclidean norm of its entries. Features of an extractor are flattened with
the weights :math:`(h_n)^{d/2}` of their layers, so that the Euclidean norm is the feature norm
:math:`|||\Phi(f)|||^2 = \sum_n \sum_q \|(U[q] f) * \chi_n\|^2`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scatter_theory.constants import Provenance
from scatter_theory.grid import Grid, is_whole
from scatter_theory.inputs import prepare
from scatter_theory.network import FeatureExtractor

#: Modules whose output in training mode depends on chance or on the rest of the batch.
_UNSTEADY = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)

Model = Callable[[Tensor], Any]


@dataclass(frozen=True, eq=False)
class Probe:
    """A model, its grid, and the precision in which it wants signals.

    Parameters
    ----------
    owner : str
        The measure, for error messages.
    call : callable
        From signals ``(batch, *grid.shape)`` in `dtype` to a tensor ``(batch, ...)``.
    grid : Grid
    dtype : torch.dtype
        That of the signals as they were given; transformed signals are computed in float64 and brought to it.
    name : str
    extractor : bool
        Whether the model is a `FeatureExtractor`.
    """

    owner: str
    call: Model
    grid: Grid
    dtype: torch.dtype
    name: str
    extractor: bool

    def raw(self, x: Tensor) -> Tensor:
        """Outputs as they come, ``(batch, ...)``; their shape is checked, their values are not."""
        y = self.call(x.to(self.dtype))
        if not isinstance(y, Tensor):
            raise TypeError(
                f"`{self.owner}(model=...)`: the model returned {type(y).__name__}, expected a tensor (batch, ...). "
                "Wrap it in a function that returns one."
            )
        if y.ndim < 1 or y.shape[0] != x.shape[0] or y.numel() == 0:
            raise ValueError(
                f"`{self.owner}(model=...)`: for {x.shape[0]} signals the model returned shape {tuple(y.shape)}, "
                "expected (batch, ...) with the batch as the first axis and at least one number for every signal."
            )
        return y

    def outputs(self, x: Tensor) -> Tensor:
        """Outputs in float64 or complex128, ``(batch, ...)``."""
        y = self.raw(x)
        return y.to(torch.complex128 if y.is_complex() else torch.float64)

    def vectors(self, x: Tensor) -> Tensor:
        """Outputs as real vectors ``(batch, n_numbers)``, float64; real and imaginary parts are separate numbers."""
        return as_vectors(self.outputs(x))

    def checked(self, y: Tensor) -> Tensor:
        """The tensor, if it is finite."""
        if not bool(torch.isfinite(y).all()):
            raise ValueError(
                f"`{self.owner}(model=...)`: the model returned NaN or infinite values for finite signals; the measure "
                "is not defined there."
            )
        return y

    def provenance(self, seed: int | None, device: torch.device, seconds: float) -> Provenance:
        """What is needed to repeat the measurement."""
        dtype = str(self.dtype).removeprefix("torch.")
        return Provenance.now(
            self.name, seed=seed, dtype=dtype, device=str(device), grid=str(self.grid), seconds=seconds
        )


def as_vectors(y: Tensor) -> Tensor:
    """Real vectors ``(batch, n_numbers)``."""
    y = torch.view_as_real(y.resolve_conj()) if y.is_complex() else y
    return y.reshape(y.shape[0], -1)


def squares(v: Tensor) -> Tensor:
    """Squared Euclidean norms of rows, ``(batch,)``, float64."""
    return torch.linalg.vector_norm(v, dim=1, dtype=torch.float64) ** 2


def spatial(y: Tensor, probe: Probe) -> Tensor:
    """The output, if its last axes are those of the grid."""
    d = probe.grid.ndim
    if y.ndim < d + 1 or tuple(y.shape[y.ndim - d :]) != probe.grid.shape:
        raise ValueError(
            f"`{probe.owner}(model=...)`: the output has shape {tuple(y.shape)}, expected (batch, *channels, "
            f"{', '.join(map(str, probe.grid.shape))}): a transform of the output needs the grid of the input."
        )
    return y


def prepared(owner: str, model: Any, signals: Any, grid: Grid) -> tuple[Probe, Tensor]:
    """Check model, signals and grid; signals come back as ``(n, *grid.shape)``, float64 or complex128.

    Raises
    ------
    TypeError
        For a model that cannot be called, a grid that is none, or signals that are no floating-point tensor or array.
    ValueError
        For signals of another shape, none at all, or with entries that are not finite; for an extractor on another
        grid, or with paths that depend on the signal; for dropout or batch normalisation in training mode.
    """
    if not isinstance(grid, Grid):
        raise TypeError(f"`{owner}(grid=...)`: got {type(grid).__name__}, expected a Grid.")
    device = signals.device if isinstance(signals, Tensor) else torch.device("cpu")
    x = prepare(signals, grid, torch.float64, device, complex_input=True, check_finite=False, name="signals")
    single = str(signals.dtype).removeprefix("torch.") in ("float32", "complex64")
    x = x.detach().reshape(-1, *grid.shape)
    if x.shape[0] == 0:
        raise ValueError(f"`{owner}(signals=...)`: got no signal, expected at least one, (n, *{grid.shape}).")
    if not bool(torch.isfinite(x).all()):
        raise ValueError(f"`{owner}(signals=...)`: NaN or infinite entries; all entries must be finite.")
    if isinstance(model, FeatureExtractor):
        phi = _steady_extractor(owner, model, grid)
        return Probe(owner, lambda f: _features(phi, f), grid, x.dtype, str(phi), True), x
    if not callable(model):
        raise TypeError(f"`{owner}(model=...)`: got {type(model).__name__}, expected a function or a FeatureExtractor.")
    _check_steady(owner, model)
    dtype = {torch.float64: torch.float32, torch.complex128: torch.complex64}[x.dtype] if single else x.dtype
    name = getattr(model, "__qualname__", type(model).__qualname__)
    return Probe(owner, model, grid, dtype, name, False), x


def _steady_extractor(owner: str, phi: FeatureExtractor, grid: Grid) -> FeatureExtractor:
    if phi.grid != grid:
        raise ValueError(f"`{owner}(grid=...)`: got {grid}, but the extractor works on {phi.grid}; give `phi.grid`.")
    if phi.path_rule.signal_dependent:
        raise ValueError(
            f"`{owner}(model=...)`: the extractor chooses its paths by the signal ({phi.path_rule!r}), so that two "
            "signals may have different features. Freeze the paths: `phi.frozen(phi(signals))`."
        )
    return phi if phi.dtype == torch.float64 else phi.rebuilt(dtype=torch.float64)


def _features(phi: FeatureExtractor, f: Tensor) -> Tensor:
    layers = phi(f, check_finite=False).layers
    return torch.cat([as_vectors(layer.values) * math.sqrt(layer.grid.cell_volume) for layer in layers], 1)


def _check_steady(owner: str, model: Any) -> None:
    if isinstance(model, nn.Module):
        moving = sorted({type(m).__name__ for m in model.modules() if isinstance(m, _UNSTEADY) and m.training})
        if moving:
            raise ValueError(
                f"`{owner}(model=...)`: {', '.join(moving)} in training mode, where the output depends on chance or on "
                "the rest of the batch. Call `model.eval()` first."
            )


def check_count(owner: str, name: str, value: Any) -> int:
    """A whole number of at least 1."""
    if not is_whole(value) or value < 1:
        raise ValueError(f"`{owner}({name}=...)`: got {value}, expected a whole number of at least 1.")
    return int(value)


def refuse_extractor(probe: Probe, why: str) -> None:
    """Refuse the features of an extractor where one array on the grid, or classes, are needed."""
    if probe.extractor:
        raise TypeError(f"`{probe.owner}(model=...)`: got a FeatureExtractor, {why}")
