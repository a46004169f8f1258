"""Binary values with a hand-written gradient: the methods of an estimator in eager code, operators in compiled code.

The registered operators, one forward and one backward, are functions of tensors and a name. The numbers of the
estimator travel as a small float64 tensor on the CPU: a schedule that changes them makes ``torch.compile`` compile
nothing anew, and reading them waits for no device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from scatter_theory.bnn._estimator import DTYPES, ESTIMATORS, Estimator, numeric_fields

#: Called in the backward pass with (z, upstream, gradient), without recording of gradients.
Observer = Callable[[Tensor, Tensor, Tensor], None]


def binarize(z: Tensor, estimator: Estimator, *, sign_zero: int = 1, observer: Observer | None = None) -> Tensor:
    """Binary values of a tensor, differentiable by an estimator.

    Forward ``estimator.forward(z)``, for all but periodic estimators ``sign(z)``; backward ``estimator.gradient``, for
    all but upstream-dependent ones the upstream gradient times f'(z). Works under autocast and, outside compiled code,
    under ``torch.func.grad`` and ``vmap``. In ``torch.compile`` it is one opaque operator forward and one backward, and
    a schedule that replaces the estimator compiles nothing anew; an estimator that is not one of the package's own is
    traced instead, and compiled anew when its numbers change.

    Parameters
    ----------
    z : Tensor
        Latent values; float16, bfloat16, float32 or float64, any shape and memory format.
    estimator : Estimator
        What stands for the derivative of the sign.
    sign_zero : {1, 0, -1}
        Value at 0.0 and -0.0.
    observer : callable, optional
        Called in the backward pass with the latent values, the upstream gradient and the resulting gradient, none of
        which it may change. Not in compiled code.

    Returns
    -------
    Tensor
        Entries -1, `sign_zero`, 1, and NaN where z is NaN; shape, dtype and memory format of `z`.

    Raises
    ------
    TypeError
        If `z` is no tensor of the four types, `estimator` no `Estimator`, or `observer` not callable.
    ValueError
        If `sign_zero` is not 1, 0 or -1.
    RuntimeError
        If `observer` is given in compiled code; and from the backward pass of the gradient, as an estimator has no
        second derivative.

    Examples
    --------
    >>> from scatter_theory.bnn import ReSTE, binarize
    >>> z = torch.tensor([-2.0, -0.05, 0.0, 1.0], requires_grad=True)
    >>> binarize(z, ReSTE(o=3.0)).tolist()
    [-1.0, -1.0, 1.0, 1.0]
    >>> binarize(z, ReSTE(o=3.0)).sum().backward()
    >>> z.grad
    tensor([0.0000, 4.6416, 4.6416, 0.3333])
    """
    _check(z, estimator, sign_zero, observer)
    if torch.compiler.is_compiling() and ESTIMATORS.get(type(estimator).__name__) is type(estimator):
        return _values(z, estimator._packed, type(estimator).__name__, sign_zero)
    return _Binarize.apply(z, estimator, sign_zero, observer)


def _check(z: object, estimator: object, sign_zero: object, observer: object) -> None:
    if not isinstance(z, Tensor):
        raise TypeError(
            f"`binarize(z=...)`: got {type(z).__name__}, expected a tensor; convert with `torch.tensor(z)`."
        )
    if z.dtype not in DTYPES:
        advice = "pass a real tensor" if z.is_complex() else "convert with `z.float()`"
        raise TypeError(
            f"`binarize(z=...)`: got a tensor of {z.dtype}, expected float16, bfloat16, float32 or float64; {advice}."
        )
    if not isinstance(estimator, Estimator):
        raise TypeError(
            f"`binarize(estimator=...)`: got {estimator!r}, expected an `Estimator` instance such as `ReSTE(o=3.0)`."
        )
    if isinstance(sign_zero, bool) or sign_zero not in (1, 0, -1):
        raise ValueError(f"`binarize(sign_zero=...)`: got {sign_zero!r}, expected 1, 0 or -1.")
    if observer is not None and not callable(observer):
        raise TypeError(f"`binarize(observer=...)`: got {observer!r}, expected a callable (z, upstream, gradient).")
    if observer is not None and torch.compiler.is_compiling():
        raise RuntimeError(
            "`binarize(observer=...)`: an observer cannot be called from compiled code; measure in eager mode, or "
            "compile after the measurement has ended."
        )


@lru_cache(maxsize=256)
def _rebuilt(name: str, numbers: tuple[float, ...]) -> Estimator:
    """The estimator from its name and numbers, which were validated when it was made."""
    cls = ESTIMATORS[name]
    estimator = object.__new__(cls)
    for field, value in zip(numeric_fields(cls), numbers, strict=True):
        object.__setattr__(estimator, field.name, int(value) if field.type == "int" else value)
    return estimator


@torch.library.custom_op("scatter_theory::binarize", mutates_args=())
def _values(z: Tensor, numbers: Tensor, estimator: str, sign_zero: int) -> Tensor:
    return _rebuilt(estimator, tuple(numbers.tolist())).forward(z, sign_zero)


@torch.library.custom_op("scatter_theory::binarize_backward", mutates_args=())
def _gradient(z: Tensor, upstream: Tensor, numbers: Tensor, estimator: str) -> Tensor:
    gradient = _rebuilt(estimator, tuple(numbers.tolist())).gradient(z, upstream)
    return gradient.clone() if gradient is upstream else gradient  # an operator may not return its input


@_values.register_fake
def _(z: Tensor, numbers: Tensor, estimator: str, sign_zero: int) -> Tensor:
    return torch.empty_like(z)


@_gradient.register_fake
def _(z: Tensor, upstream: Tensor, numbers: Tensor, estimator: str) -> Tensor:
    return upstream.clone() if estimator == "IdentitySTE" else upstream * torch.empty_like(z)


@_values.register_vmap
def _(info: Any, dims: tuple[int | None, ...], z: Tensor, numbers: Tensor, estimator: str, sign_zero: int) -> Any:
    return _values(z, numbers, estimator, sign_zero), dims[0]


@_gradient.register_vmap
def _(info: Any, dims: tuple[int | None, ...], z: Tensor, upstream: Tensor, numbers: Tensor, estimator: str) -> Any:
    pair = [
        x.expand(info.batch_size, *x.shape) if d is None else x.movedim(d, 0)
        for x, d in zip((z, upstream), dims[:2], strict=True)
    ]
    if ESTIMATORS[estimator].pointwise:
        return _gradient(*pair, numbers, estimator), 0
    each = [_gradient(*one, numbers, estimator) for one in zip(*pair, strict=True)]
    return torch.stack(each) if each else pair[1].clone(), 0


class _Binarize(torch.autograd.Function):
    """The methods of an estimator as a function and its gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, estimator: Estimator, sign_zero: int, observer: Observer | None) -> Tensor:
        return estimator.forward(z, sign_zero)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        z, ctx.estimator, _, ctx.observer = inputs
        ctx.save_for_backward(z)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradient = _Gradient.apply if torch.is_grad_enabled() else _Gradient.forward
        return gradient(*ctx.saved_tensors, upstream, ctx.estimator, ctx.observer), None, None, None


class _Gradient(torch.autograd.Function):
    """The gradient as a function of its own, which refuses to be differentiated."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, upstream: Tensor, estimator: Estimator, observer: Observer | None) -> Tensor:
        gradient = estimator.gradient(z, upstream)
        if observer is not None:
            observer(z.detach(), upstream.detach(), gradient.detach())
        return gradient

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> None:
        raise RuntimeError(
            "`binarize`: differentiated twice, but an estimator stands for a first derivative and has no second; "
            "call `backward` or `grad` without `create_graph=True`, or keep this tensor out of the penalty."
        )


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    z, numbers, ctx.estimator, _ = inputs
    ctx.save_for_backward(z, numbers)


def _backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
    z, numbers = ctx.saved_tensors
    return _gradient(z, upstream, numbers, ctx.estimator), None, None, None


_values.register_autograd(_backward, setup_context=_save)
_gradient.register_autograd(_Gradient.backward)
