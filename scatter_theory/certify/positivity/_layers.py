r"""Certificates about one layer of a network: how far a translation moves its features, how much energy goes on.

For n >= 1, if the maps u that enter layer n + 1 satisfy :math:`\mathrm{Re}\langle u, T_x u\rangle \ge 0`
(`non_negative`), a certificate for the multiplier M gives

* with :math:`M = |e^{-2\pi i\langle s,\xi\rangle} - 1|^2 |\hat\chi_n|^2`:
  :math:`|||\Phi^n(T_t f) - \Phi^n(f)||| \le \lambda^{1/2} W_n(f)^{1/2}`, path by path;
* with :math:`M = L_{n+1}^2 R_{n+1}^2 \sum_\lambda |\hat g_\lambda|^2`:
  :math:`W_{n+1}(f) \le \lambda \, W_n(f)`, for every signal and at a rate that does not depend on its length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from scatter_theory.certify._flags import non_negative
from scatter_theory.certify.positivity._certificate import PositivityCertificate, positivity_certificate
from scatter_theory.network import FeatureExtractor

Claim = Literal["translation", "decay"]


@dataclass(frozen=True)
class LayerCertificate:
    """A positivity certificate and the multiplier of a network for which it speaks.

    Parameters
    ----------
    claim : {"translation", "decay"}
    layer : int
        n >= 1.
    samples : tuple of int
        Whole shift of the array that enters the network; empty for ``"decay"``.
    proof : PositivityCertificate
    """

    claim: Claim
    layer: int
    samples: tuple[int, ...]
    proof: PositivityCertificate

    def recheck(self, phi: FeatureExtractor) -> bool:
        """Whether the weights prove the stored value for this network, and no value that enters the layer is negative.

        False for another network or a broken file.
        """
        try:
            M = multiplier(phi, self.claim, self.layer, self.samples)
        except ValueError:
            return False
        return non_negative(phi, self.layer).satisfied and self.proof.holds_for(M)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings."""
        return {
            "claim": self.claim,
            "layer": self.layer,
            "samples": list(self.samples),
            "proof": self.proof.to_dict(),
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> LayerCertificate:
        """The certificate that `to_dict` wrote down."""
        samples = tuple(int(s) for s in table["samples"])
        return cls(table["claim"], int(table["layer"]), samples, PositivityCertificate.from_dict(table["proof"]))


def certified_layer(phi: FeatureExtractor, claim: Claim, n: int, samples: tuple[int, ...] = ()) -> LayerCertificate:
    """Certify one layer.

    Parameters
    ----------
    phi : FeatureExtractor
    claim : {"translation", "decay"}
    n : int
        Layer; 1..N for ``"translation"``, 1..N - 1 for ``"decay"``.
    samples : tuple of int
        Whole shift, for ``"translation"``.

    Returns
    -------
    LayerCertificate
        With its proof; `recheck` evaluates it anew.

    Raises
    ------
    ValueError
        For a layer or a shift that the network does not have.

    Notes
    -----
    Whether the maps are non-negative is not asked here: it is a hypothesis of the bound that uses the certificate.
    """
    return LayerCertificate(claim, n, samples, positivity_certificate(multiplier(phi, claim, n, samples)))


def multiplier(phi: FeatureExtractor, claim: Claim, n: int, samples: tuple[int, ...] = ()) -> np.ndarray:
    """The multiplier M of a claim about layer n, ``(*shape)``; its even part where the maps are real.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    claim : {"translation", "decay"}
        Which quantity of the layer is bounded.
    n : int
        Layer; 1..N for ``"translation"``, 1..N - 1 for ``"decay"``.
    samples : tuple of int
        Whole shift, one number per axis, for ``"translation"``.

    Returns
    -------
    (*shape) array
        M >= 0 at the DFT frequencies of layer n, float64.

    Raises
    ------
    ValueError
        For a layer or a shift that the network does not have.
    """
    last = phi.depth if claim == "translation" else phi.depth - 1
    if not 1 <= n <= last:
        raise ValueError(f"`multiplier(n=...)`: got layer {n}, expected 1 to {last} for {claim!r}.")
    if claim == "decay":
        constant = phi.layer_constant(n + 1).value
        return _array(constant**2 * phi.banks[n].propagating_sum(real=phi.real[n]))
    grid = phi.grids[n]
    stride = phi.pooling_product(n) if phi.sampling == "decimate" else 1.0
    if len(samples) != grid.ndim or any(s % stride for s in samples):
        raise ValueError(f"`multiplier(samples=...)`: got {samples}, expected {grid.ndim} multiples of {stride:g}.")
    steps = [s / stride for s in samples]
    turns = sum(
        step * torch.fft.fftfreq(N, dtype=torch.float64).reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
        for axis, (step, N) in enumerate(zip(steps, grid.shape, strict=True))
    )
    wave = torch.sin(math.pi * turns).expand(grid.shape)
    return _array(4 * wave.square() * phi.banks[n].output_power(real=phi.real[n]).cpu())


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().astype(float)
