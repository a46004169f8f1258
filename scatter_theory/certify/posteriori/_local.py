r"""How much the features can change in a box of parameters, from one evaluation at its centre.

Let :math:`\tau_c` be a family (`Chart`), :math:`f_c = F_{\tau_c} f`, :math:`h(c) = |||\Phi(f_c) - \Phi(f)|||`, and let
:math:`c' = c + \delta` with :math:`|\delta_i| \le r_i`. With :math:`D_i = -\partial_i\tau_c \cdot (\nabla f)(x -
\tau_c)`, the derivative of :math:`f_c` in the parameter i, Taylor's formula says that

.. math:: f_{c'} - f_c = e_\delta + \varrho, \quad e_\delta = \sum_i \delta_i D_i, \quad
          |\varrho| \le q\,|\nabla f| + \min\big(\tfrac12\eta^2|D^2 f| + \tfrac16\eta^3 F_3,\; \tfrac12\eta^2F_2\big),

at every sample, with the derivatives at :math:`x - \tau_c(x)`, q the second-order term of the family, :math:`\eta = q +
\max|\sum\delta_i\partial_i\tau_c|`, and certified suprema :math:`F_2` of :math:`|D^2 f|` (Frobenius) and
:math:`F_3 = 2\pi B F_2` of its derivatives (Bernstein, band limit B).

**Theorem.** With :math:`c_n` the squared Lipschitz constants of the network from layer n on,

.. math:: h(c') \le \max_{\delta \in \{\pm r\}} \Big( \|(f_c - f + e_\delta) * \chi_0\|^2 +
          \big( h_{\ge 1}(c) + c_1^{1/2} m(\delta) \big)^2 \Big)^{1/2} + c_0^{1/2} \|\varrho\| ,

where :math:`h_{\ge1}` is the distance in the layers from 1 on and :math:`m(\delta)` bounds that of the maps of layer 1:
:math:`m(\delta)^2 = L_1^2R_1^2 \sum_\lambda \|e_\delta * g_\lambda\|^2`, or for the modulus, with :math:`v = f_c *
g_\lambda` and :math:`e = e_\delta * g_\lambda`,

.. math:: m(\delta)^2 = R_1^2 \sum_\lambda \big\| (|v|^2 + 2|\mathrm{Re}(\bar v e)| + |e|^2)^{1/2} - |v| \big\|^2 .

*Proof.* Replacing :math:`f_{c'}` by :math:`f_c + e_\delta` costs at most :math:`c_0^{1/2}\|\varrho\|`. The features of
layer 0 are linear. Those of the other layers move by at most :math:`c_1^{1/2}` times the distance of the maps of layer
1; for the modulus, :math:`||v + e| - |v||` is at most the bracket, because :math:`|v \pm e|^2 \le |v|^2 +
2|\mathrm{Re}(\bar v e)| + |e|^2` and :math:`|v| - |v + e| \le |v - e| - |v|` (:math:`2|v| \le |v+e| + |v-e|`). The
bracket is the larger of two convex functions of :math:`\delta`, so the whole is convex and largest at a corner. ∎

The quadrature matters: a displacement moves most of the energy where only the phases of :math:`f * g_\lambda` change,
and these the modulus forgets. A plain Lipschitz bound counts them in full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from scatter_theory import theory
from scatter_theory.certify.posteriori._charts import Chart
from scatter_theory.features import Features
from scatter_theory.network import FeatureExtractor
from scatter_theory.nonlinearities import Modulus
from scatter_theory.trigonometric import Polynomial, evaluate, supremum

#: Rounding of an evaluation of features, relative to what the network may make of the norm of the signal.
ROUNDING = 1e-11


@dataclass(frozen=True, eq=False)
class Bounds:
    """What one evaluation says about boxes, each ``(n, ...)``.

    Parameters
    ----------
    upper : (n,) tensor
        Proven upper value of h over the box, rounded up.
    lower : (n,) tensor
        h at the centre, rounded down.
    corner : (n, p) tensor
        The corner at which the first-order bound is largest.
    axis : (n,) tensor
        The parameter along which the box should be divided.
    """

    upper: Tensor
    lower: Tensor
    corner: Tensor
    axis: Tensor


@dataclass(frozen=True, eq=False)
class Local:
    """A network, a signal and a family, prepared for evaluations; made by `local_bounds`."""

    phi: FeatureExtractor
    chart: Chart
    polynomials: Polynomial
    still: Tensor
    features: Features
    second: float
    third: float
    whole: float
    rest: float
    gain: float
    norm: float

    @property
    def rounding(self) -> float:
        """Rounding of h, absolute."""
        return ROUNDING * self.whole * self.norm

    def heights(self, c: Tensor) -> Tensor:
        """Values of h at parameters ``(n, p)``, rounded down, ``(n,)``."""
        moved = self._moved(c, 1)[0]
        return (self.phi(moved).distance(self.features) - self.rounding).clamp_min(0)

    def bounds(self, c: Tensor, r: Tensor) -> Bounds:
        """Bounds on the boxes with centres and half widths ``(n, p)``."""
        grid, d = self.phi.grid, self.phi.grid.ndim
        values = self._moved(c, self.polynomials.batch[0])
        moved, gradient, hessian = values[0], values[1 : 1 + d], values[1 + d :]
        slopes = self.chart.derivatives(c)
        D = -torch.einsum("npd...,dn...->np...", slopes.to(gradient.dtype), gradient)
        rho = grid.norm(self._remainder(c, r, slopes, gradient, hessian))
        distances = self.phi(moved).distance(self.features, by="layer")
        signs = torch.tensor(list(product((1.0, -1.0), repeat=c.shape[1])), dtype=torch.float64, device=c.device)
        delta = signs * r[:, None, :]
        low = self._low_pass(moved, D, delta)
        # The other half of the corners is the mirror image of the first, and so are its values.
        half = self._rest(moved, D, delta[:, : len(signs) // 2])
        rest = torch.cat([half, half.flip(1)], 1)
        later = distances[:, 1:].square().sum(1).sqrt()
        total = torch.hypot(low, later[:, None] + self.rest * rest)
        most, place = total.max(1)
        upper = (most + self.whole * rho) * (1 + 1e-13) + self.rounding
        lower = (distances.square().sum(1).sqrt() - self.rounding).clamp_min(0)
        corner = c + delta.gather(1, place[:, None, None].expand(-1, 1, c.shape[1]))[:, 0]
        return Bounds(upper, lower, corner, (r * grid.norm(D)).argmax(1))

    def _moved(self, c: Tensor, count: int) -> Tensor:
        """The first polynomials at the displaced samples, ``(count, n, *shape)``."""
        points = self.phi.grid.points(device=c.device).unsqueeze(1) - self.chart.displacements(c).movedim(0, 1)
        p = self.polynomials
        values = evaluate(p.coefficients[:count], p.extent, points)
        return values.real.contiguous() if p.real else values

    def _remainder(self, c: Tensor, r: Tensor, slopes: Tensor, gradient: Tensor, hessian: Tensor) -> Tensor:
        """A bound of what the first-order model leaves out, at every sample, ``(n, *shape)``."""
        d = self.phi.grid.ndim
        lead = (-1, *(1,) * d)
        bend = self.chart.bend(c, r).reshape(lead) * self.chart.size
        lengths = torch.linalg.vector_norm(slopes, dim=2)
        eta = bend + (lengths * r.reshape(*r.shape, *(1,) * d)).sum(1)
        curvature = torch.linalg.vector_norm(hessian, dim=0)
        local = 0.5 * eta**2 * curvature + eta**3 * (self.third / 6)
        return bend * torch.linalg.vector_norm(gradient, dim=0) + torch.minimum(local, 0.5 * eta**2 * self.second)

    def _low_pass(self, moved: Tensor, D: Tensor, delta: Tensor) -> Tensor:
        """Features of layer 0 at the corners ``(n, corners, p)`` of the first-order model, ``(n, corners)``."""
        grid = self.phi.grid
        parts = torch.cat([(moved - self.still).unsqueeze(1), D], 1)
        spectra = (grid.fft(parts) * self.phi.banks[0].output.to(parts.device)).flatten(2)
        gram = (spectra @ spectra.mH).real * (grid.cell_volume / grid.size)
        vectors = torch.cat([torch.ones_like(delta[..., :1]), delta], -1)
        return torch.einsum("nkp,npq,nkq->nk", vectors, gram, vectors).clamp_min(0).sqrt()

    def _rest(self, moved: Tensor, D: Tensor, delta: Tensor) -> Tensor:
        """Values of m at the corners ``(n, corners, p)``, ``(n, corners)``."""
        grid, bank = self.phi.grid, self.phi.banks[0].to(moved.device)
        change = torch.einsum("nkp,np...->nk...", delta.to(D.dtype), D)
        e = grid.ifft(grid.fft(change).unsqueeze(2) * bank.spectra)
        if type(self.phi.layers[0].nonlinearity) is Modulus:
            v = grid.ifft(grid.fft(moved).unsqueeze(1) * bank.spectra).unsqueeze(1)
            before = v.abs()
            extra = 2 * (v.real * e.real + v.imag * e.imag).abs() + e.real**2 + e.imag**2
            # The difference of the roots, without the loss of digits.
            e = extra / (before + (before**2 + extra).sqrt()).clamp_min(1e-300)
        return self.gain * grid.norm(e).square().sum(2).sqrt()


def local_bounds(phi: FeatureExtractor, chart: Chart, p: Polynomial) -> Local:
    """Prepare evaluations for a float64 extractor and one polynomial, batch ``()``."""
    gradient = p.gradient()
    hessian = Polynomial(gradient.gradient().coefficients.flatten(0, 1), p.extent, p.real)
    second = float(supremum(hessian, vector=True).upper)
    stack = torch.cat([p.coefficients[None], gradient.coefficients, hessian.coefficients])
    still = p.on(phi.grid)
    stages = [
        (bank.output_power(real=real), bank.propagating_sum(real=real), phi.layer_constant(n).value, 1.0)
        for n, (bank, real) in enumerate(zip(phi.banks[:-1], phi.real[:-1], strict=True), 1)
    ]
    factors = theory.certified_factors(stages, phi.banks[-1].output_power(real=phi.real[-1]))
    return Local(
        phi=phi,
        chart=chart,
        polynomials=Polynomial(stack, p.extent, p.real),
        still=still,
        features=phi(still),
        second=second,
        third=second * 2 * math.pi * float(p.occupied()) * (1 + 1e-12),
        whole=float(factors[0]) ** 0.5,
        rest=float(factors[1]) ** 0.5,
        gain=phi.layer_constant(1).value,
        norm=float(phi.grid.norm(still)),
    )
