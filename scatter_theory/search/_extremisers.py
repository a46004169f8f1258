r"""Amplitude-modulated tones: pairs of signals between which layer 2 loses nothing.

**Theorem.** Let layers 1 and 2 take the modulus, without pooling or with dilation only. Let :math:`\xi, \eta` be DFT
frequencies with :math:`2\eta \ne 0` such that

(i) every atom g of layer 1 has :math:`\hat g(\xi-\eta) = \hat g(\xi) = \hat g(\xi+\eta)` (as complex numbers) and, for
real signals, the same at :math:`-\xi`, and vanishes at :math:`\xi` or at :math:`-\xi`;
(ii) every atom of layer 2 vanishes at 0, and at :math:`\eta` or at :math:`-\eta`.

Then the signals :math:`f_s = e^{2\pi i\langle\xi,x\rangle}(1 + s\cos 2\pi\langle\eta,x\rangle)`, :math:`0 \le s \le 1`,
or their real parts for real signals, satisfy for all :math:`s \ne s'`

.. math:: |||\Phi^2(f_s) - \Phi^2(f_{s'})|||^2 = G_1(\xi)\, G_2^{ev}(\eta)\, |\hat\chi_2(0)|^2 \, \|f_s - f_{s'}\|^2,

with :math:`G_n = \sum_\lambda|\hat g_\lambda|^2` and even part :math:`G^{ev}`, which replaces :math:`G_1` for real
signals.

*Proof.* By (i), :math:`|f_s * g| = |\hat g(\xi)|(1 + s\cos)` for complex signals. For real signals each atom sees only
one of the two halves :math:`\tfrac12 e^{\pm}(1 + s\cos)`, so that half of the modulus is left, and the squares sum to
:math:`\tfrac12 G_1^{ev}(\xi)(1 + s\cos)^2`. By (ii) an atom h of layer 2 makes of :math:`1 + s\cos` the constant
:math:`\tfrac s2 |\hat h(\pm\eta)|`, which passes :math:`\chi_2` with the gain :math:`|\hat\chi_2(0)|`; squares sum to
:math:`\tfrac{s^2}2 G_2^{ev}(\eta)`, and s enters linearly. The distance is :math:`(s-s')^2/2` times the volume, or
:math:`(s-s')^2/4` for real signals, whose six frequencies are distinct where some atom passes. ∎

The bound of layer 2 is :math:`\sup G_1 \sup G_2^{ev} \sup|\hat\chi_2|^2`. Where both agree it is exact: no better bound
exists. Dilation by S leaves the array alone, so that in bins nothing changes (in cycles the envelope is at
:math:`S\eta` in layer 2).

**Where atoms are not flat,** :math:`|f_s * g| = |\gamma| + \tfrac s2 \mathrm{Re}\,[(\hat g(\xi+\eta)\bar\gamma +
\gamma\overline{\hat g(\xi-\eta)})\, e^{2\pi i\langle\eta,x\rangle}]/|\gamma| + O(s^2)` with
:math:`\gamma = \hat g(\xi) \ne 0`, so that small s give in place of :math:`|\hat g(\xi)|^2` the gain
:math:`\tfrac14|\hat g(\xi+\eta)\bar\gamma/|\gamma| + \gamma\overline{\hat g(\xi-\eta)}/|\gamma||^2`. An atom without a
carrier has no such expansion: its output is a beat of the two side bands, or a tone, of which layer 2 sees nothing.
Only atoms that pass the carrier count. These pairs are starts of a search, not statements.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scatter_theory.constants import IDENTITY
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor
from scatter_theory.nonlinearities import Modulus
from scatter_theory.poolings import NoPooling, Subsample
from scatter_theory.results import Hypothesis
from scatter_theory.search._candidates import tone

#: Depths (s, s') of the modulation where atoms are flat, and where they are not.
FLAT, SMALL = (0.7, 0.2), (0.2, 0.1)
#: Pairs of the second kind, with different envelopes.
COUNT = 3
#: Entries of shifted spectra that a scan may touch, and the fewest envelopes that it tries.
ENTRIES, FEWEST = 1 << 24, 16


@dataclass(frozen=True, eq=False)
class ModulatedPair:
    """Two signals with one carrier and one envelope, of different depths.

    Parameters
    ----------
    carrier, envelope : tuple of int
        DFT bins of xi and eta, signed.
    gain : float
        Predicted quotient of the distances of layer 2: a theorem if `exact`, else to first order.
    exact : bool
        Whether the atoms are flat and one-sided as the theorem asks.
    f, h : (*shape) tensors
        The signals, float64 or complex128, on the device of the network.
    """

    carrier: tuple[int, ...]
    envelope: tuple[int, ...]
    gain: float
    exact: bool
    f: Tensor
    h: Tensor


@dataclass(frozen=True, eq=False)
class Modulations:
    """What a scan of all carriers and envelopes found.

    Parameters
    ----------
    pairs : tuple of ModulatedPair
        Largest gain first of those that are exact (one), then of those that are not.
    hypotheses : tuple of Hypothesis
        Conditions of the theorem; where one is not satisfied no pair is exact.
    """

    pairs: tuple[ModulatedPair, ...]
    hypotheses: tuple[Hypothesis, ...]


def am_pairs(phi: FeatureExtractor) -> Modulations:
    """Pairs of amplitude-modulated tones that are extremal, or promising, for layer 2.

    Parameters
    ----------
    phi : FeatureExtractor
        In float64. Real signals give real pairs.

    Returns
    -------
    Modulations
        Without pairs where layers 1 and 2 are not moduli with dilation. Gains count all paths: with a rule that drops
        some, the network may show less.

    Notes
    -----
    Envelopes are tried from the largest gain of layer 2, low frequencies first; all of them on small grids, and on
    large ones as many as ``ENTRIES`` allow.
    """
    hypotheses = [
        Hypothesis("at least two layers", phi.depth >= 2, phi.depth),
        Hypothesis("modulus in layers 1 and 2", all(type(layer.nonlinearity) is Modulus for layer in phi.layers[:2])),
        Hypothesis("no pooling but dilation in layers 1 and 2", _dilates(phi)),
    ]
    if not all(h.satisfied for h in hypotheses):
        return Modulations((), tuple(hypotheses))
    one_sided, envelope_gain = _envelopes(phi)
    bins = _order(phi.grid, envelope_gain, one_sided)
    bins = bins[: max(FEWEST, ENTRIES // max(1, phi.banks[0].spectra.numel()))]
    scores = torch.stack([_scores(phi, k, envelope_gain[k], one_sided[k]) for k in bins]).cpu().tolist()
    found: list[ModulatedPair] = []
    best = max(range(len(bins)), key=lambda i: scores[i][0])
    flat = scores[best][0] > 0
    if flat:
        found.append(_pair(phi, bins[best], scores[best][0], int(scores[best][1]), FLAT, exact=True))
    hypotheses += [
        Hypothesis(
            "some envelope is seen by one side of the atoms of layer 2 only, which vanish at 0", bool(one_sided.any())
        ),
        Hypothesis("some band of layer 1 is flat and one-sided over the width of such an envelope", flat),
    ]
    for i in sorted(range(len(bins)), key=lambda i: -scores[i][2])[:COUNT]:
        if scores[i][2] > max(scores[best][0], 0.0) * (1 + IDENTITY):
            found.append(_pair(phi, bins[i], scores[i][2], int(scores[i][3]), SMALL, exact=False))
    return Modulations(tuple(found), tuple(hypotheses))


def _dilates(phi: FeatureExtractor) -> bool:
    poolings = [layer.pooling for layer in phi.layers[:2]]
    return all(type(p) is NoPooling or (type(p) is Subsample and phi.sampling == "dilate") for p in poolings)


def _envelopes(phi: FeatureExtractor) -> tuple[Tensor, Tensor]:
    r"""Where (ii) holds and something passes, and :math:`G_2^{ev}|\hat\chi_2(0)|^2`; ``(*shape)`` each, on the CPU."""
    bank, grid = phi.banks[1], phi.grids[1]
    sizes = bank.spectra.detach().abs().cpu()
    peak = max(float(sizes.max()), 1e-300) if len(bank) else 1.0
    both = torch.stack([s * grid.mirror(s) for s in sizes]).amax(0) if len(bank) else torch.zeros(grid.shape)
    origin = (0,) * grid.ndim
    at_zero = float(sizes[(slice(None), *origin)].max()) if len(bank) else 0.0
    chi = float(phi.banks[2].output[origin].abs())
    gain = bank.propagating_sum(real=True).detach().cpu() * chi**2
    return (both <= IDENTITY * peak**2) & (at_zero <= IDENTITY * peak) & (gain > IDENTITY * peak**2), gain


def _order(grid: Grid, gain: Tensor, one_sided: Tensor) -> list[tuple[int, ...]]:
    """Envelopes, one of eta and -eta: one-sided ones first, by gain, then by frequency."""
    radius = torch.linalg.vector_norm(grid.frequencies(), dim=0).flatten().tolist()
    gains, sides = gain.flatten().tolist(), one_sided.flatten().tolist()
    opposite = grid.mirror(torch.arange(grid.size).reshape(grid.shape)).flatten().tolist()
    half = [i for i in range(grid.size) if i < opposite[i]]
    half.sort(key=lambda i: (not sides[i], -round(gains[i], 9), radius[i]))
    return [tuple(int(k) for k in torch.unravel_index(torch.tensor(i), grid.shape)) for i in half]


def _scores(phi: FeatureExtractor, k: tuple[int, ...], envelope_gain: Tensor, one_sided: Tensor) -> Tensor:
    """Best squared gain over all carriers where the theorem holds and its flat bin, then both to first order; (4,)."""
    grid, spectra = phi.grid, phi.banks[0].spectra.detach()
    dims = tuple(range(1, 1 + grid.ndim))
    up = torch.roll(spectra, tuple(-c for c in k), dims)
    down = torch.roll(spectra, k, dims)
    sizes = spectra.abs()
    peak = sizes.max().clamp_min(1e-300)
    flat = torch.maximum((up - spectra).abs(), (down - spectra).abs()).amax(0) <= IDENTITY * peak
    turn = spectra / sizes.clamp_min(1e-300)
    carried = sizes >= SMALL[0] * torch.maximum(up.abs(), down.abs())
    gain = ((up * turn.conj() + turn * down.conj()).abs() ** 2 / 4 * carried).sum(0)
    if phi.real[0]:
        both = torch.stack([s * grid.mirror(s) for s in sizes]).amax(0)
        flat = flat & grid.mirror(flat) & (both <= IDENTITY * peak**2)
        gain = 0.5 * (gain + grid.mirror(gain))
    gain = gain * float(envelope_gain)
    exact = torch.where(flat & bool(one_sided), gain, torch.zeros_like(gain)).flatten()
    best, any_best = exact.argmax(), gain.flatten().argmax()
    return torch.stack([exact[best], best.double(), gain.flatten()[any_best], any_best.double()])


def _pair(
    phi: FeatureExtractor, k: tuple[int, ...], power: float, flat: int, depths: tuple[float, float], *, exact: bool
) -> ModulatedPair:
    """The signals of a carrier, given by its flat index, and an envelope."""
    grid = phi.grid
    bins = tuple(int(c) for c in torch.unravel_index(torch.tensor(flat), grid.shape))
    carrier, envelope = (
        tuple(c - n if 2 * c > n else c for c, n in zip(b, grid.shape, strict=True)) for b in (bins, k)
    )
    wave = tone(grid, carrier, complex_input=phi.complex_input, device=phi.device)
    slow = tone(grid, envelope, complex_input=False, device=phi.device)
    f, h = (wave * (1 + s * slow) for s in depths)
    return ModulatedPair(carrier, envelope, power**0.5, exact, f, h)
