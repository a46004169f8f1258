"""Which layer makes the input of an activation, and what that layer was given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

#: Layers whose output is linear in their weight.
LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True, eq=False)
class Made:
    """How a tensor came about: a linear layer, its input, and perhaps batch normalisation after it.

    Parameters
    ----------
    path : str
        Of the linear layer.
    input : Tensor
        What it was given.
    norm : str or None
        Path of the batch normalisation, if there is one.
    """

    path: str
    input: Tensor
    norm: str | None = None


class Makers:
    """Follows the outputs of linear layers and batch normalisations through a forward pass, by identity.

    What stands between a layer and an activation, even a view, ends the trace.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = {p: m for p, m in model.named_modules() if isinstance(m, (*LINEAR, _BatchNorm))}
        # The output is held, so that no other tensor can get its identity.
        self._made: dict[int, tuple[Tensor, Made]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on the layers, for the time of the block."""
        handles = [m.register_forward_hook(self._hook(path)) for path, m in self._layers.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self.forget()

    def take(self, z: Tensor, y: Tensor) -> Made | None:
        """How the input of an activation was made; None if not by a layer that is followed.

        Parameters
        ----------
        z, y : Tensor
            Before and after the activation; the same object as the layer's output is z, or y if it was overwritten.
        """
        found = self._made.pop(id(y), None) or self._made.get(id(z))
        return None if found is None else found[1]

    def forget(self) -> None:
        """Let the tensors of a forward pass go."""
        self._made.clear()

    def _hook(self, path: str) -> Any:
        def hook(layer: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if not args or not isinstance(args[0], Tensor) or not isinstance(output, Tensor):
                return
            if isinstance(layer, _BatchNorm):
                before = self._made.get(id(args[0]))
                if before is not None and before[1].norm is None:
                    self._made[id(output)] = (output, Made(before[1].path, before[1].input, path))
            else:
                self._made[id(output)] = (output, Made(path, args[0]))

        return hook


@dataclass(frozen=True, eq=False)
class ChannelMoments:
    """Number, mean and centred sum of squares of the entries of each channel, float64, shape ``(C,)``; mergeable."""

    n: float
    mean: Tensor
    squares: Tensor

    @classmethod
    def of(cls, z: Tensor, channel: int) -> ChannelMoments:
        """Of one tensor with the channels along one axis."""
        rows = z.detach().movedim(channel, 0).flatten(1).double()
        mean = rows.mean(1)
        return cls(float(rows.shape[1]), mean, (rows - mean[:, None]).square().sum(1))

    def merge(self, other: ChannelMoments) -> ChannelMoments:
        """Of both together (Chan, Golub, LeVeque 1983)."""
        n, gap = self.n + other.n, other.mean - self.mean
        mean = self.mean + gap * (other.n / n)
        return ChannelMoments(n, mean, self.squares + other.squares + gap.square() * (self.n * other.n / n))

    def at_most(self, low: float) -> Tensor:
        r"""P(z <= low) per channel if z is Gaussian: :math:`\Phi((low - mean) / sd)`; a step where it is constant."""
        deviation = (self.squares / self.n).sqrt()
        step = (self.mean <= low).double()
        rate = torch.special.ndtr((low - self.mean) / torch.where(deviation > 0, deviation, 1.0))
        return torch.where(deviation > 0, rate, step)
