r"""Which units cannot depend on the input, read from the weights alone.

The model runs once on a tensor of ones that remembers where it came from. Within this run every entry says whether
there is a path: 0 for "depends on no input", anything else for "may depend on one".

* A layer with weights W takes :math:`1[x \neq 0]` (all ones for the rule ``"incoming"``) through
  :math:`1[W \neq 0]`, without bias: a sum of non-negative terms, in which nothing cancels.
* An activation, and any other function of one entry, is the identity: it keeps what depends on the input.
* Sums, differences, products and quotients of two such tensors are their sum. Factors from outside count by whether
  they are 0, and summands from outside not at all.
* Normalisations that mix entries (layer, group and instance norm, softmax, batch norm with batch statistics) give the
  mean of the entries that they mix; batch norm with running statistics is the identity.
* Attention, recurrent layers and products of matrices depend on the input everywhere if any entry does.

What is left, such as pooling, padding, views and concatenation, keeps 0 at 0 and positive numbers positive as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from scatter_theory.meters._sites import SMOOTH, function_name, plain

Static = Literal["incoming", "reach", "constant"]

_LAYERS = frozenset(
    {"linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
)
_POINTWISE = SMOOTH | frozenset(
    {"relu", "relu6", "clamp", "clip", "clamp_min", "clamp_max", "hardtanh", "threshold", "sigmoid", "hardsigmoid",
     "tanh", "softsign", "logsigmoid", "exp", "log", "log1p", "sqrt", "rsqrt", "square", "abs", "neg", "pow", "sin",
     "cos", "erf", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"}
)  # fmt: skip
_SUMS = frozenset({"add", "sub", "subtract", "radd", "rsub", "iadd", "isub"})
_PRODUCTS = frozenset(
    {"mul", "multiply", "rmul", "imul", "div", "divide", "true_divide", "rdiv", "rtruediv", "truediv", "itruediv"}
)
_LAST = frozenset({"layer_norm", "rms_norm"})
_EVERYWHERE = frozenset(
    {"multi_head_attention_forward", "scaled_dot_product_attention", "matmul", "rmatmul", "bmm", "baddbmm", "mm",
     "addmm", "einsum", "lstm", "gru", "rnn_tanh", "rnn_relu"}
)  # fmt: skip


class Reading(Tensor):
    """A tensor that depends on the input; what torch makes of it is one again."""


def ones(batch: Any) -> Any:
    """The batch with ones that depend on the input in place of numbers; masks, indices and labels stay."""
    if isinstance(batch, Tensor):
        numbers = batch.is_floating_point() or batch.is_complex() or batch.dtype == torch.uint8
        return torch.ones_like(batch).as_subclass(Reading) if numbers else batch
    if isinstance(batch, Mapping):
        return {name: ones(value) for name, value in batch.items()}
    if isinstance(batch, list | tuple) and not hasattr(batch, "_fields"):
        return type(batch)(ones(value) for value in batch)
    return batch


def paths(x: Tensor) -> Tensor:
    """Which entries depend on the input, bool; none of a tensor that was made from weights and constants alone."""
    return plain(x) != 0 if isinstance(x, Reading) else torch.zeros_like(x, dtype=torch.bool)


class ReadPaths(TorchFunctionMode):
    """Within this block a model tells which of its entries depend on the input, see the text of the module.

    Parameters
    ----------
    rule : {"incoming", "reach"}
        Whether every layer of weights is given ones, or what reaches it.
    mixes_batch : bool
        Whether batch normalisation uses statistics of the batch.
    """

    def __init__(self, rule: Static, mixes_batch: bool) -> None:
        super().__init__()
        self._all_ones = rule == "incoming"
        self._mixes_batch = mixes_batch

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = function_name(func)
        if name in ("embedding", "one_hot"):
            return torch.ones_like(plain(func(*args, **kwargs))).as_subclass(Reading)
        if name in _LAYERS:
            return self._layer(func, *args, **kwargs)
        if not any(isinstance(a, Reading) for a in (*args, *kwargs.values())) and not _inside(args):
            return func(*args, **kwargs)
        return self._of_readings(func, name, args, kwargs)

    def _layer(
        self, func: Callable[..., Any], input: Tensor, weight: Tensor, bias: Any = None, *rest: Any, **more: Any
    ) -> Tensor:
        x = torch.ones_like(plain(input), dtype=torch.bool) if self._all_ones else plain(input) != 0
        alive = plain(weight.detach()) != 0
        return func(x.to(weight.dtype), alive.to(weight.dtype), None, *rest, **more).as_subclass(Reading)

    def _of_readings(
        self, func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        in_place = getattr(func, "__name__", "").endswith("_") and not getattr(func, "__name__", "").endswith("__")
        if name in _POINTWISE:
            x = args[0] if args else kwargs["input"]
            return x if in_place or kwargs.get("inplace") is True else x.clone()
        if name in _SUMS or name in _PRODUCTS:
            factors = name in _PRODUCTS
            given = [_operand(a, factors) for a in (*args[:2], *(kwargs[n] for n in ("other",) if n in kwargs))]
            a, b = given
            both = all(isinstance(x, Reading) for x in given)
            value = a * b if factors and not both else a + b
            overwrites = in_place or name in ("iadd", "isub", "imul", "itruediv")
            return args[0].copy_(value) if overwrites else value
        if name == "batch_norm":
            return _mean(args[0], (0, *range(2, args[0].ndim))) if self._mixes_batch else args[0].clone()
        if name in _LAST:
            shape = args[1] if len(args) > 1 else kwargs["normalized_shape"]
            return _mean(args[0], tuple(range(args[0].ndim - len(shape), args[0].ndim)))
        if name == "group_norm":
            x = args[0]
            grouped = x.reshape(x.shape[0], args[1], -1)
            return _mean(grouped, (2,)).reshape(x.shape)
        if name == "instance_norm":
            return _mean(args[0], tuple(range(2, args[0].ndim)))
        if name in ("softmax", "log_softmax"):
            dim = kwargs.get("dim", args[1] if len(args) > 1 else -1)
            return _mean(args[0], (dim,))
        if name in ("var", "std"):
            rest = {k: v for k, v in kwargs.items() if k in ("dim", "keepdim")}
            return torch.mean(*args, **rest)
        result = func(*args, **kwargs)
        return _everywhere(result, args) if name in _EVERYWHERE else result


def _operand(x: Any, factors: bool) -> Any:
    """One side of a sum or product: readings as they are, other factors by whether they are 0, other summands 0."""
    if isinstance(x, Reading):
        return x
    if isinstance(x, Tensor):
        return (x.detach() != 0) if factors else torch.zeros_like(x)
    return (x != 0) if factors else 0


def _mean(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return x.mean(dims, keepdim=True).expand(x.shape).clone()


def _everywhere(result: Any, args: tuple[Any, ...]) -> Any:
    """Ones if any entry of the readings is not 0, else zeros, in the shapes of the result."""
    if isinstance(result, tuple):
        return tuple(_everywhere(part, args) for part in result)
    if not isinstance(result, Tensor):
        return result
    there = [(plain(a) != 0).any() for a in args if isinstance(a, Reading)]
    found = torch.stack(there).any() if there else torch.ones((), dtype=torch.bool, device=result.device)
    return torch.ones_like(plain(result)).mul_(found).as_subclass(Reading)


def _inside(args: tuple[Any, ...]) -> bool:
    """Whether a list of tensors among the arguments holds a reading."""
    return any(isinstance(a, list | tuple) and any(isinstance(x, Reading) for x in a) for a in args)
