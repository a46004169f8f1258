"""Networks whose atoms are made from weights: the atoms of one pass, and whether weights have changed since."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from scatter_theory.engine._full_grid import Network
from scatter_theory.frames import Bank
from scatter_theory.grid import Grid
from scatter_theory.layers import Layer
from scatter_theory.poolings import Sampling


class Weights:
    """Values that the weights of some modules had.

    Compared by value: what version counters miss, such as writing to ``weight.data``, is seen too. Comparing waits for
    the device.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self.values = [w.detach().clone() for w in _weights(modules)]

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.values[0].device

    def changed(self, modules: Iterable[nn.Module]) -> bool:
        """Whether some value, type or device is another one now, or there are more or fewer weights."""
        now = _weights(modules)
        return len(now) != len(self.values) or any(
            (a.dtype, a.device) != (b.dtype, b.device) or not torch.equal(a, b.detach())
            for a, b in zip(self.values, now, strict=True)
        )


def _weights(modules: Iterable[nn.Module]) -> list[Tensor]:
    return [w for module in modules for w in (*module.parameters(), *module.buffers())]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A network with the atoms that its frames had when the pass began, in its precision and with their gradients.

    Parameters
    ----------
    network : Network
    banks : tuple of Bank
        Banks of layers 1..N and the final one.
    made : frozenset of int
        Which of them were made for this pass, on the network's device; the network has the atoms of the others.
    """

    network: Network
    banks: tuple[Bank, ...]
    made: frozenset[int]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers of the network."""
        return self.network.layers

    @property
    def grids(self) -> tuple[Grid, ...]:
        """Grids of the network."""
        return self.network.grids

    @property
    def sampling(self) -> Sampling:
        """Sampling mode of the network."""
        return self.network.sampling

    @property
    def max_bytes(self) -> int:
        """Limit of the network."""
        return self.network.max_bytes

    @property
    def memory(self) -> int | None:
        """Budget of the network."""
        return self.network.memory

    def atoms(self, n: int) -> Tensor:
        """Spectra ``(n_atoms, *shape)`` of the propagating atoms of layer n + 1."""
        return self.banks[n].spectra if n in self.made else self.network.atoms(n)

    def output_atom(self, n: int) -> Tensor:
        """Spectrum ``(*shape)`` of the output atom of layer n."""
        return self.banks[n].output if n in self.made else self.network.output_atom(n)

    def emits_real(self, n: int) -> bool:
        """Whether the output atom of layer n keeps real maps real."""
        return self.network.emits_real(n)

    def bytes_per_path(self) -> list[int]:
        """Bytes of the features of one path and one signal, for layers 0..N."""
        return self.network.bytes_per_path()


class NotTrained(torch.autograd.Function):
    """Zero that depends on weights through which no gradient passes: a backward pass towards them raises."""

    @staticmethod
    def forward(ctx: object, *weights: Tensor) -> Tensor:
        """Zero."""
        return weights[0].new_zeros(())

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, ...]:
        """Refuse."""
        raise RuntimeError(
            "`FeatureExtractor(engine='fast')`: a gradient with respect to the weights of a learned frame was asked "
            "for, but the plan of the fast engine holds the atoms as constants. Train with engine='exact' "
            "(`phi.rebuilt(engine='exact')` shares the weights), or freeze them: `phi.requires_grad_(False)`."
        )
