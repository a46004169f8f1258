"""A network with a low-pass filter in front of every stride."""

from __future__ import annotations

import copy
import operator
from collections.abc import Sequence
from typing import Any, Literal, NoReturn, get_args

import torch
from torch import fx, nn

from scatter_theory.certify.model._circular_pool import CircularPool
from scatter_theory.certify.model._layers import CONVOLUTIONS, NORMALISATIONS
from scatter_theory.certify.model._low_pass import low_pass
from scatter_theory.certify.model._operations import arguments
from scatter_theory.certify.model._pooling import per_axis
from scatter_theory.certify.model._refusals import described
from scatter_theory.certify.model._table import (
    ADAPTIVE_AVERAGE,
    ADAPTIVE_MAX,
    ADD,
    AVERAGE,
    CALLS,
    DROPOUTS,
    EXTREMES,
    MAX,
    MODULES,
    REDUCED,
    SCALE,
    SIDE_BY_SIDE,
    SOFT,
)
from scatter_theory.certify.model._trace import Traced, traced
from scatter_theory.frames import LearnedConv
from scatter_theory.grid import is_whole
from scatter_theory.seeds import seeded

PaddingMode = Literal["zeros", "circular", "replicate"]

_WHERE = "anti_aliased"
_STRIDED = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOLS = {
    **{target: (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)[d - 1] for target, d in MAX.items()},
    **{target: (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)[d - 1] for target, d in AVERAGE.items()},
}
#: Known operations that leave every sample where it is, add samples at the border, or end the axes of the samples.
_KEPT = {
    *CALLS, *MODULES, *SOFT, *NORMALISATIONS, *DROPOUTS, *ADD, *SCALE, *SIDE_BY_SIDE, *REDUCED, *EXTREMES,
    nn.Linear, nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.Flatten, torch.flatten, "flatten",
    nn.ChannelShuffle, nn.functional.pad, nn.functional.channel_shuffle, torch.clone, "clone", "contiguous",
    nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d,
    nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d, nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d,
    nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d,
}  # fmt: skip


def anti_aliased(
    model: nn.Module, input_shape: Sequence[int], *, order: int = 2, padding_mode: PaddingMode = "zeros"
) -> fx.GraphModule:
    r"""A copy of a network in which a low-pass filter stands in front of every stride, its weights unchanged.

    A layer with stride s is a layer g with stride 1 of which every s-th sample is kept, S g. It becomes

    .. math:: S\, h * g, \qquad \hat h(\xi) = \Big(\frac{\sin \pi s \xi}{s \sin \pi \xi}\Big)^r \text{ per axis},

    r = `order`: for s = 2 the binomial filter of r + 1 taps. The filter is not negative and adds up to 1, but for the
    rounding of the number type. On the torus, with s dividing the samples of g, S h * has the norm
    :math:`|s|^{-1/2}`, :math:`|s| = \prod_i s_i`, so that a constant L of g gives :math:`|s|^{-1/2} L`. That is never
    more than what the layer had: :math:`\|S W\| \ge |s|^{-1/2} \|W\|` for a circular convolution W, and max-pooling
    over k samples goes from :math:`\prod \lceil k_i/s_i \rceil^{1/2}` to :math:`\prod (k_i/s_i)^{1/2}`. With zeros
    outside the grid these are upper bounds; ``"replicate"`` may be above, as edges count several times.
    `covariance_defect` measures what the filters do to shifts.

    *When it applies.* Convolutions, maximum and average pooling, and slices such as ``x[:, :, ::2]``, with any stride,
    between operations that move no samples. *When not.* Everything else that may change the raster is refused by name:
    transposed and learned convolutions with a stride, adaptive pooling to more than one sample, pooling with
    `ceil_mode`, views.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, without hooks. It is copied, and stays as it is.
    input_shape : sequence of int
        ``(channels, *grid)`` of one sample.
    order : int
        r, even, so that the filter moves nothing. More smooths more.
    padding_mode : {"zeros", "circular", "replicate"}
        What the filters see outside the grid. With ``"circular"`` pooling without padding is continued around the grid
        too, so that a network on the torus stays there.

    Returns
    -------
    fx.GraphModule
        In evaluation mode, with the number type and the output shapes of the model, and weights without gradients.
        Without strides it computes what the model does.

    Raises
    ------
    TypeError
        If `model` is no module.
    ValueError
        For a node that is refused, whose name is in the message; a model in training mode, with hooks, or that torch.fx
        cannot follow; weights of several number types; another `order` or `padding_mode`.

    Examples
    --------
    The fastest oscillation, which a stride of two turns into a constant, is gone.

    >>> fast = torch.tensor([1.0, -1.0] * 4).reshape(1, 1, 8)
    >>> smooth = anti_aliased(nn.AvgPool1d(1, stride=2).eval(), (1, 8), padding_mode="circular")
    >>> smooth(fast).tolist(), smooth(1 + fast).tolist()
    ([[[0.0, 0.0, 0.0, 0.0]]], [[[1.0, 1.0, 1.0, 1.0]]])
    """
    shape = _checked(input_shape, order, padding_mode)
    graph = traced(model, shape, seeded(0)[0], _WHERE)
    dtype = _dtype(model)
    for node in reversed(graph.nodes):  # so that what enters a node is still what was traced
        if node not in graph.varying or not node.op.startswith("call"):
            continue
        found = _dense(graph, node, padding_mode)
        if found is not None:
            _replace(graph, node, *found, order, padding_mode)
    graph.module.delete_all_unused_submodules()
    graph.module.graph.lint()
    graph.module.recompile()
    return graph.module.to(dtype).eval()


def _checked(input_shape: Sequence[int], order: int, padding_mode: str) -> tuple[int, ...]:
    sizes = isinstance(input_shape, Sequence) and not isinstance(input_shape, str)
    if not sizes or len(input_shape) < 2 or not all(is_whole(n) and n >= 1 for n in input_shape):
        raise ValueError(
            f"`{_WHERE}(input_shape=...)`: got {input_shape!r}, expected channels and at least one axis of samples, "
            "such as (1, 28, 28), without the axis of the batch."
        )
    if not is_whole(order) or order < 2 or order % 2:
        raise ValueError(
            f"`{_WHERE}(order=...)`: got {order!r}, expected an even number of at least 2. Others move the maps by "
            "half a sample."
        )
    if padding_mode not in get_args(PaddingMode):
        raise ValueError(
            f"`{_WHERE}(padding_mode=...)`: got {padding_mode!r}, expected one of {get_args(PaddingMode)}."
        )
    return tuple(int(n) for n in input_shape)


def _dtype(model: nn.Module) -> torch.dtype:
    found = {t.dtype for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()}
    if len(found) > 1:
        raise ValueError(
            f"`{_WHERE}(model=...)`: got weights of the types {', '.join(sorted(map(str, found)))}, expected one. "
            "Convert the model first, such as by `model.float()`."
        )
    return found.pop() if found else torch.get_default_dtype()


def _refuse(graph: Traced, node: fx.Node, reason: str) -> NoReturn:
    raise ValueError(
        f"`{_WHERE}(model=...)`: {described(graph, node)} cannot be given a low-pass filter: {reason}. Replace it, or "
        "take the part of the model before it."
    )


def _dense(graph: Traced, node: fx.Node, padding_mode: str) -> tuple[list[nn.Module], tuple[int, ...]] | None:
    """The node with stride 1 as modules in a row, and its stride; None for a node that has none and stays."""
    source = graph.varying_inputs(node)[0]
    d = len(graph.shape(source)) - 2
    if d < 1:  # the axes of the samples are gone
        return None
    target = type(graph.submodule(node)) if node.op == "call_module" else node.target
    if target is operator.getitem:
        return _slices(graph, node, d)
    if target in _STRIDED:
        module = copy.deepcopy(graph.submodule(node))
        stride, module.stride = module.stride, (1,) * d
        return None if set(stride) == {1} else ([module], stride)
    if target in _POOLS:
        return _pooling(graph, node, target, padding_mode)
    single = target in (*ADAPTIVE_AVERAGE, *ADAPTIVE_MAX) and set(graph.shape(node)[2:]) == {1}
    convolution = target in (*CONVOLUTIONS, LearnedConv) and set(graph.submodule(node).stride) == {1}
    if single or convolution or target in _KEPT:
        return None
    _refuse(graph, node, "it may change the raster of the samples in a way that is not known here")


def _slices(graph: Traced, node: fx.Node, d: int) -> tuple[list[nn.Module], tuple[int, ...]] | None:
    index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
    if all(isinstance(i, slice) for i in index):
        steps = tuple(i.step or 1 for i in index[2:]) + (1,) * (d + 2 - max(2, len(index)))
        whole = [i.start in (None, 0) and i.stop is None for i in index]
        if set(steps) == {1}:
            return None
        if all(whole) and all(i.step in (None, 1) for i in index[:2]):
            return [], steps
    _refuse(graph, node, f"only slices of the kind x[:, :, ::2] are known, not {index}")


def _pooling(
    graph: Traced, node: fx.Node, target: Any, padding_mode: str
) -> tuple[list[nn.Module], tuple[int, ...]] | None:
    kind = _POOLS[target]
    d = (*MAX.values(), *AVERAGE.values())[(*MAX, *AVERAGE).index(target)]
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    if target in AVERAGE:
        names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    plain = {"padding": 0, "dilation": 1, "ceil_mode": False, "count_include_pad": True}
    given = arguments(graph, node, names, tuple(plain.get(name) for name in names))
    stride = per_axis(given["stride"] or given["kernel_size"], d)
    if set(stride) == {1}:
        return None
    if given.pop("ceil_mode"):
        _refuse(graph, node, "with ceil_mode=True its last window is cut off")
    given = {name: value for name, value in given.items() if value is not None}
    pool = kind(**(given | {"stride": 1}))
    widths = zip(per_axis(given["kernel_size"], d), per_axis(given.get("dilation", 1), d), strict=True)
    reach = [step * (k - 1) for k, step in widths]
    if padding_mode == "circular" and not any(per_axis(given["padding"], d)) and any(reach):
        return [CircularPool(pool, tuple(reach))], stride
    return [pool], stride


def _replace(
    graph: Traced, node: fx.Node, dense: list[nn.Module], stride: tuple[int, ...], order: int, padding_mode: str
) -> None:
    """Put the dense node and its filter in the place of a node."""
    (source,) = graph.varying_inputs(node)
    x = graph.values[source]
    for module in dense:
        x = module(x)
    sizes = tuple(x.shape[2:])
    if padding_mode == "circular" and any(n % s for n, s in zip(sizes, stride, strict=True)):
        _refuse(graph, node, f"the stride {stride} does not divide its grid {sizes}, so that it is not on the torus")
    last = low_pass(x.shape[1], stride, order, padding_mode).to(x.device)
    if padding_mode == "circular" and any(p > n for p, n in zip(last.padding, sizes, strict=True)):
        _refuse(graph, node, f"a filter with {last.kernel_size} taps goes around its grid {sizes} more than once")
    if last(x).shape != graph.values[node].shape:
        _refuse(graph, node, f"it would give {tuple(last(x).shape)} and not {graph.shape(node)}")
    names = [*(f"{node.name}_dense{k or ''}" for k in range(len(dense))), f"{node.name}_low_pass"]
    with graph.module.graph.inserting_before(node):
        for name, module in zip(names, [*dense, last], strict=True):
            graph.module.add_submodule(name, module)
            source = graph.module.graph.call_module(name, (source,))
    node.replace_all_uses_with(source)
    graph.module.graph.erase_node(node)
