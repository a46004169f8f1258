"""One pass of a model over data, with counters at every site."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from scatter_theory.meters import Site
from scatter_theory.pruning.dead._state import Rule, SiteState


class Run:
    """The states of all sites, in the order of their first calls, and the batch that is running.

    Parameters
    ----------
    rule, eps, channel_dim, extremes
        As in ``SiteState``.
    gradients : bool
        Whether a backward pass follows.

    Attributes
    ----------
    states : dict of str to SiteState
    sizes : list of int
        Samples of each batch.
    """

    def __init__(self, rule: Rule, eps: float, channel_dim: int, extremes: bool, gradients: bool) -> None:
        self.states: dict[str, SiteState] = {}
        self.sizes: list[int] = []
        self._make = partial(SiteState, rule=rule, eps=eps, channel_dim=channel_dim, extremes=extremes)
        self._channel_dim, self.gradients = channel_dim, gradients
        self._samples: int | None = None
        self._room: dict[str, Tensor] = {}

    def begin(self, samples: int | None) -> None:
        """Start a batch; None for a number of samples that the first site tells."""
        self._samples = samples
        # On the CPU, small tensors that are made during a forward pass and kept would scatter over the memory that it
        # is about to free, and make the next pass ask the system for more: they go where room is made before.
        expected = samples or (self.sizes[-1] if self.sizes else 0)
        at_hand = [name for name, state in self.states.items() if state.magnitude.device.type == "cpu"]
        self._room = {name: torch.empty((expected, 2), dtype=torch.int32) for name in at_hand}

    def end(self) -> None:
        """Note the number of samples of the batch."""
        self.sizes.append(self._samples or 0)

    def observe(self, site: Site, z: Tensor, y: Tensor) -> None:
        """Count one call.

        Raises
        ------
        ValueError
            If the axes are not as expected.
        """
        check_axes(site, y, self._channel_dim)
        self._samples = len(y) if self._samples is None else self._samples
        if len(y) != self._samples:
            raise ValueError(
                f"`dead_neurons(model=...)`: site {site.name!r} has outputs of shape {tuple(y.shape)}, expected the "
                f"{self._samples} samples of the batch in the first axis. Use `batch_first=True` in transformers, and "
                "`forward_fn` where the samples are not the first axis of the input."
            )
        if site.name not in self.states:
            self.states[site.name] = self._make(site)
        state = self.states[site.name]
        state.update(len(self.sizes), z, y, self._room.get(site.name))
        if self.gradients and y.requires_grad:
            y.register_hook(state.add_gradient)

    def backward(self, value: Any, model: nn.Module) -> None:
        """Run the backward pass of a loss, which leaves the gradients of parameters alone.

        Raises
        ------
        ValueError
            Unless the loss is a scalar that depends on a parameter.
        """
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
            got = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"`dead_neurons(loss=...)`: got {got}, expected a scalar tensor that depends on parameters of the "
                "model, from `loss(model, batch)`."
            )
        parameters = [p for p in model.parameters() if p.requires_grad]
        torch.autograd.grad(value.reshape(()), parameters, allow_unused=True)


def check_axes(site: Site, y: Tensor, channel_dim: int) -> None:
    """Refuse outputs without an axis of samples and another one of channels.

    Raises
    ------
    ValueError
        If there is none.
    """
    if y.ndim < 2 or not -y.ndim < channel_dim < y.ndim:
        raise ValueError(
            f"`dead_neurons(channel_dim={channel_dim})`: site {site.name!r} has outputs of shape {tuple(y.shape)}, "
            f"expected samples in the first axis and channels in axis {channel_dim}."
        )


def default_forward(model: nn.Module, batch: Any) -> Any:
    """Run a model on a tensor, or on the first entry of a tuple or list, moved to the device of the model."""
    return model(placed(model, first(batch)))


def placed(model: nn.Module, x: Tensor) -> Tensor:
    """The tensor on the device of the model."""
    at = next(model.parameters(), None)
    at = next(model.buffers(), None) if at is None else at
    return x if at is None else x.to(at.device)


def first(batch: Any) -> Tensor:
    """The input of a batch.

    Raises
    ------
    TypeError
        Unless it is a tensor, or a tuple or list that begins with one.
    """
    x = batch[0] if isinstance(batch, list | tuple) and batch else batch
    if isinstance(x, Tensor):
        return x
    raise TypeError(
        f"`dead_neurons(loader=...)`: got a batch of type {type(batch).__name__}, expected a tensor, or a tuple or "
        "list that begins with one; for other batches give `forward_fn=lambda model, batch: model(...)`."
    )


def second(batch: Any, samples: int) -> Tensor:
    """The labels of a batch.

    Raises
    ------
    ValueError
        Unless the second entry is a tensor of whole numbers, one per sample.
    """
    y = batch[1] if isinstance(batch, list | tuple) and len(batch) > 1 else None
    whole = isinstance(y, Tensor) and not y.is_floating_point() and not y.is_complex()
    if not whole or tuple(y.shape) != (samples,):
        got = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(
            f"`dead_neurons(labels=True)`: got {got} as the second entry of a batch, expected a tensor of {samples} "
            "whole numbers; leave `labels` out where there are none."
        )
    return y
