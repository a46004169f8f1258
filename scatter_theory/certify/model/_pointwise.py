r"""Sharp Lipschitz constants of activations as functions on the whole line, and of the two softmax maps.

A function r that acts entry by entry has the constant :math:`\sup|r'|` of the line in the Euclidean norm. One that
jumps has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scatter_theory import nonlinearities
from scatter_theory.certify.model._bound import Bound


@dataclass(frozen=True)
class Activation:
    """An activation in all the forms in which torch has it.

    Parameters
    ----------
    module : type
    attributes : tuple of str
        Attributes of the module that the constant depends on, named as the arguments of the functions are.
    calls : tuple
        Functions, and names of methods.
    constant : callable
        Takes the arguments after the input, as the functions do.
    """

    module: type[nn.Module] | None
    attributes: tuple[str, ...]
    calls: tuple[Any, ...]
    constant: Callable[..., Bound]


def _always(value: float, source: str) -> Callable[..., Bound]:
    return lambda *args, **kwargs: Bound(value, True, source)


def _leaky(negative_slope: float = 0.01, inplace: bool = False) -> Bound:
    return Bound(max(1.0, abs(negative_slope)), True, "max(1, |slope|)")


def _prelu(weight: Tensor) -> Bound:
    return Bound(max(1.0, float(weight.detach().abs().max())), True, "max(1, |slope|) over the channels")


def _elu(alpha: float = 1.0, inplace: bool = False) -> Bound:
    return Bound(max(1.0, abs(alpha)), True, "max(1, |alpha|)")


def _gelu(approximate: str = "none") -> Bound:
    if approximate == "none":
        return Bound(nonlinearities.GELU().lipschitz.value, True, "maximum of Phi(x) + x phi(x), at sqrt(2)")
    return Bound(1.1289930686587719, True, "maximum of the derivative of the tanh form, at 1.41850...")


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> Bound:
    if threshold < 37:
        raise ValueError(
            f"softplus switches to x at beta x = {threshold:g} and jumps there by "
            f"{math.log1p(math.exp(-threshold)) / abs(beta):.1e}, so that no constant is finite. "
            "Use threshold=37, where the jump is below the resolution of float64"
        )
    return Bound(1.0, True, "derivative 1/(1 + exp(-beta x)) < 1")


_ONE = "|derivative| <= 1"
_LOGISTIC = "derivative of the logistic function at 0"

ACTIVATIONS = (
    Activation(nn.ReLU, (), (F.relu, torch.relu, "relu"), _always(1.0, _ONE)),
    Activation(nn.ReLU6, (), (F.relu6,), _always(1.0, _ONE)),
    Activation(nn.LeakyReLU, ("negative_slope",), (F.leaky_relu,), _leaky),
    Activation(nn.PReLU, ("weight",), (F.prelu, torch.prelu), _prelu),
    Activation(nn.ELU, ("alpha",), (F.elu,), _elu),
    Activation(nn.SELU, (), (F.selu,), _always(1.7580993408473769, "scale times alpha, at 0 from below")),
    Activation(nn.GELU, ("approximate",), (F.gelu,), _gelu),
    Activation(nn.SiLU, (), (F.silu,), _always(nonlinearities.SiLU().lipschitz.value, "where x tanh(x/2) = 2")),
    Activation(nn.Mish, (), (F.mish,), _always(1.0884981612517282, "maximum of the derivative, at 1.49057...")),
    Activation(nn.Softplus, ("beta", "threshold"), (F.softplus,), _softplus),
    Activation(nn.Softsign, (), (F.softsign,), _always(1.0, _ONE)),
    Activation(nn.Softshrink, (), (F.softshrink,), _always(1.0, _ONE)),
    Activation(nn.Tanh, (), (F.tanh, torch.tanh, "tanh"), _always(1.0, _ONE)),
    Activation(nn.Tanhshrink, (), (F.tanhshrink,), _always(1.0, _ONE)),
    Activation(nn.Hardtanh, (), (F.hardtanh,), _always(1.0, _ONE)),
    Activation(nn.Sigmoid, (), (F.sigmoid, torch.sigmoid, "sigmoid"), _always(0.25, _LOGISTIC)),
    Activation(nn.LogSigmoid, (), (F.logsigmoid,), _always(1.0, _ONE)),
    Activation(nn.Hardsigmoid, (), (F.hardsigmoid,), _always(1 / 6 * (1 + 4e-16), "slope of the middle piece")),
    Activation(nn.Hardswish, (), (F.hardswish,), _always(1.5, "derivative (2x + 3)/6 at 3 from below")),
    Activation(None, (), (torch.abs, "abs"), _always(1.0, _ONE)),
    Activation(None, (), (torch.clamp, "clamp"), _always(1.0, _ONE)),
)


def softmax(sizes: tuple[int, ...], dim: int) -> Bound:
    r"""Softmax along one axis: 1/2.

    The Jacobian is :math:`\mathrm{diag}(p) - pp^T`. By Gershgorin its eigenvalues are at most
    :math:`\max_i 2 p_i (1 - p_i) \le 1/2`, which p = (1/2, 1/2, 0, ...) attains in the limit.
    """
    return Bound(0.5, sizes[dim] > 1, "Jacobian diag(p) - p p^T, rows of absolute sum 2 p (1 - p)")


def log_softmax(sizes: tuple[int, ...], dim: int) -> Bound:
    r"""Logarithm of softmax along an axis of n entries: :math:`\sqrt n`.

    The norm of the Jacobian :math:`I - 1p^T` is convex in p, hence largest at a corner of the simplex, where
    :math:`J J^T = I + 11^T` on the other n - 1 entries has the norm n. The supremum is not attained.
    """
    return Bound(math.sqrt(sizes[dim]), sizes[dim] > 1, "norm of I - 1 p^T at a corner of the simplex")
