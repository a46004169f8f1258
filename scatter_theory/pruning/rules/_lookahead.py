"""The rule that looks one layer back and one ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from scatter_theory.pruning.masks._mask import weight_of
from scatter_theory.pruning.masks._prunable import every
from scatter_theory.pruning.rules._neighbours import Source, traced_neighbours
from scatter_theory.pruning.rules._rule import Context, Rule, registered

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@registered
@dataclass(frozen=True)
class Lookahead(Rule):
    r"""Lookahead distortion (Park, Lee, Mo, Shin, ICLR 2020), squared.

    .. math:: w_{ij}^2 \; \lVert W_{prev}[j, :] \rVert^2 \; \lVert W_{next}[:, i] \rVert^2

    for the weight from input channel j to output channel i; the norms run over all weights of the neighbouring layers
    that make channel j or use channel i. Where several layers meet in a sum, their squares add up; a missing neighbour
    counts as 1. Normalisation in between is passed over, with its scale left out. After flattening, a run of equal
    length of input features belongs to each channel.

    The scores of a tensor have the scale of its neighbours, hence ``scope="layer"`` or ``"erk"`` suits them.

    Parameters
    ----------
    neighbours : mapping of str to sequence of str, optional
        Weights that feed each weight, by name; one that is left out has none before it. Default: traced by
        ``torch.fx``.

    Raises
    ------
    ValueError
        By `scores`: if the model cannot be traced or has something unknown between two layers, a name is none of the
        model's weights, or channels of neighbours do not match.
    """

    neighbours: Mapping[str, Sequence[str]] | None = None

    def scores(self, context: Context) -> dict[str, Tensor]:
        layers = every(context.model)
        before = traced_neighbours(context.model) if self.neighbours is None else self._given(layers)
        squares = {name: _split(layer, weight_of(layer).double().square()) for name, layer in layers.items()}
        made = {name: square.sum((2, 3)).flatten() for name, square in squares.items()}  # (out,)
        used = {name: square.sum((1, 3)).flatten() for name, square in squares.items()}  # (in,)
        scores = {}
        for name in context.weights:
            square = squares[name]
            groups, outs, ins, _ = square.shape
            previous = [_spread(made[source.name], groups * ins, source, name) for source in before.get(name, ())]
            following = [
                _gather(used[after], groups * outs, source, after)
                for after, sources in before.items()
                for source in sources
                if source.name == name
            ]
            if previous:
                square = square * _total(previous, square).view(groups, 1, ins, 1)
            if following:
                square = square * _total(following, square).view(groups, outs, 1, 1)
            scores[name] = _join(layers[name], square)
        return scores

    def _given(self, layers: Mapping[str, nn.Module]) -> dict[str, tuple[Source, ...]]:
        for name in [n for pair in self.neighbours.items() for n in (pair[0], *pair[1])]:
            if name not in layers:
                raise ValueError(
                    f"`Lookahead(neighbours=...)`: got {name!r}, expected names of weights: {', '.join(layers)}. The "
                    "values are sequences of names, also for a single one."
                )
        return {name: tuple(Source(source) for source in sources) for name, sources in self.neighbours.items()}


def _split(layer: nn.Module, weight: Tensor) -> Tensor:
    """Weight as (groups, out channels of the group, in channels of the group, kernel)."""
    groups = getattr(layer, "groups", 1)
    apart = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)
    return apart.transpose(1, 2) if isinstance(layer, _TRANSPOSED) else apart


def _join(layer: nn.Module, weight: Tensor) -> Tensor:
    """The inverse of `_split`."""
    together = weight.transpose(1, 2) if isinstance(layer, _TRANSPOSED) else weight
    return together.reshape(layer.weight.shape)


def _spread(made: Tensor, ins: int, source: Source, name: str) -> Tensor:
    """One number per output channel of a source -> per input channel of the layer it feeds."""
    padded = functional.pad(made, (source.before, source.after))
    return padded.repeat_interleave(_run(len(padded), ins, source.name, name))


def _gather(used: Tensor, outs: int, source: Source, after: str) -> Tensor:
    """One number per input channel of a layer -> per output channel of its source."""
    padded = source.before + outs + source.after
    _run(padded, len(used), source.name, after)
    return used.view(padded, -1).sum(1)[source.before : source.before + outs]


def _run(channels: int, ins: int, source: str, name: str) -> int:
    """Number of input features per channel."""
    if ins % channels:
        raise ValueError(
            f"`Lookahead()`: {channels} channels come from {source!r}, but {name!r} has {ins} inputs, expected a "
            "multiple. Pass `Lookahead(neighbours=...)` without this pair."
        )
    return ins // channels


def _total(parts: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack([part.to(like.device) for part in parts]).sum(0)
