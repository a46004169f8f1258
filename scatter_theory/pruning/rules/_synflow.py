"""The rule that looks at how much flows through the network, without data."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from scatter_theory.pruning.masks._masks import originals
from scatter_theory.pruning.masks._prunable import every
from scatter_theory.pruning.rules._rule import Context, Rule, registered


@registered
@dataclass(frozen=True)
class SynFlow(Rule):
    r"""Synaptic flow (Tanaka, Kunin, Yamins, Ganguli, NeurIPS 2020): data-free, in many rounds.

    .. math:: R = 1^T f_{|W|}(1), \qquad \text{score} = \left| w \, \frac{\partial R}{\partial w} \right| ,

    where :math:`f_{|W|}` is a float64 copy of the network with the modulus of every parameter, biases 0, batch
    normalisation left out and dropout off. Where every path from input to output goes through a layer once, the scores
    of that layer add up to R.

    The copy must be positively homogeneous, f(2x) = 2 f(x): activations such as ReLU, linear maps, max and average
    pooling, sums. That is checked, to the last bit, on the input of ones.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one input, without the batch.
    rounds : int
        How many times ``prune`` scores anew on its way to the target, leaving a constant ratio alive each time.

    Raises
    ------
    ValueError
        If `rounds` is below 1. By `scores`: if the copy is not homogeneous, R is 0 as no path of weights is alive, or R
        overflows.
    TypeError
        By `scores`: if the model does not give one tensor.
    """

    input_shape: tuple[int, ...]
    rounds: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.rounds, bool) or not isinstance(self.rounds, int) or self.rounds < 1:
            raise ValueError(f"`SynFlow(rounds=...)`: got {self.rounds!r}, expected a whole number >= 1.")

    def scores(self, context: Context) -> dict[str, Tensor]:
        model = _positive(context.model)
        parameters = originals(model, context.weights)
        device = next(iter(parameters.values())).device
        ones = torch.ones(1, *self.input_shape, dtype=torch.float64, device=device)
        with torch.enable_grad():
            output = model(ones)
            if not isinstance(output, Tensor):
                raise TypeError(f"`SynFlow`: the model gives a {type(output).__name__}, expected one tensor.")
            flow = output.sum()
            gradients = torch.autograd.grad(flow, list(parameters.values()), allow_unused=True)
        with torch.no_grad():
            homogeneous = torch.equal(model(2 * ones), 2 * output)
        _check_flow(float(flow.detach()), homogeneous)
        return {
            name: torch.zeros_like(p) if g is None else (p.detach() * g).abs()
            for (name, p), g in zip(parameters.items(), gradients, strict=True)
        }


def _positive(model: nn.Module) -> nn.Module:
    """Copy in float64 with the moduli of all parameters, no biases, no batch normalisation, in evaluation mode."""
    copy = deepcopy(model).double().eval()
    for parent in list(copy.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, _BatchNorm):
                setattr(parent, name, nn.Identity())
    with torch.no_grad():
        for parameter in copy.parameters():
            parameter.requires_grad_(True).abs_()
        for layer in every(copy).values():
            if layer.bias is not None:
                layer.bias.zero_()
    return copy


def _check_flow(flow: float, homogeneous: bool) -> None:
    if not torch.tensor(flow).isfinite():
        raise ValueError(f"`SynFlow`: the flow R is {flow}, beyond float64. The network is too deep for this rule.")
    if not homogeneous:
        raise ValueError(
            "`SynFlow`: f(2x) = 2 f(x) fails for the copy with positive weights, expected a network of linear maps, "
            "ReLU-like activations, pooling and sums. Layer normalisation, saturating or smooth activations and "
            "constants do not fit; use another rule."
        )
    if flow == 0:
        raise ValueError("`SynFlow`: the flow R is 0: no path of weights from input to output is alive. Prune less.")
