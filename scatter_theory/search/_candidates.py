r"""Signals that are known or likely to be extremal: random ones have almost no power against a Lipschitz bound.

All batches have shape ``(n, *grid.shape)`` and unit root-mean-square amplitude; real unless complex signals are
allowed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from scatter_theory.frames import Bank
from scatter_theory.grid import Grid
from scatter_theory.network import FeatureExtractor


def unit_rms(x: Tensor, ndim: int) -> Tensor:
    """Scale every signal of a batch to root-mean-square 1; zero signals are dropped.

    Parameters
    ----------
    x : (n, *shape) tensor
        Real or complex.
    ndim : int
        Number of axes of a signal.

    Returns
    -------
    (m, *shape) tensor
        Those that are not zero, m <= n.
    """
    axes = tuple(range(-ndim, 0))
    rms = (x.abs() ** 2).mean(axes).sqrt()
    return x[rms > 0] / rms[rms > 0].reshape(-1, *(1,) * ndim)


def noise(grid: Grid, n: int, generator: torch.Generator, *, complex_input: bool, device: torch.device) -> Tensor:
    """White Gaussian noise and, for every second signal, noise with spectrum ``1/|k|``.

    Parameters
    ----------
    grid : Grid
        Grid of the signals.
    n : int
        Draws.
    generator : torch.Generator
        On the CPU, so that the draws are the same on every device.
    complex_input : bool
        Whether signals are complex.
    device : torch.device
        Where they end.

    Returns
    -------
    (n, *grid.shape) tensor
        Signals of unit root mean square, float64 or complex128.
    """
    dtype = torch.complex128 if complex_input else torch.float64
    x = torch.randn((n, *grid.shape), generator=generator, dtype=dtype).to(device)
    radius = torch.linalg.vector_norm(grid.frequencies(device=device), dim=0)
    radius = radius.clamp_min(min(1 / e for e in grid.extent))
    coloured = grid.ifft(grid.fft(x) / radius)
    odd = (torch.arange(n, device=device) % 2 == 1).reshape(-1, *(1,) * grid.ndim)
    return unit_rms(torch.where(odd, coloured if complex_input else coloured.real, x), grid.ndim)


def tone(grid: Grid, bins: Sequence[int], *, complex_input: bool, device: torch.device) -> Tensor:
    """One tone, ``exp(2 pi i <k, n/N>)`` or its cosine.

    Parameters
    ----------
    grid : Grid
        Grid of the signal.
    bins : sequence of int
        DFT bin k per axis, of either sign.
    complex_input : bool
        Whether the tone is complex.
    device : torch.device
        Where it is made.

    Returns
    -------
    (*grid.shape) tensor
        Amplitude 1, float64 or complex128.
    """
    angle = torch.zeros(grid.shape, dtype=torch.float64, device=device)
    for axis, (k, n) in enumerate(zip(bins, grid.shape, strict=True)):
        steps = torch.arange(n, dtype=torch.float64, device=device) * (2 * math.pi * (k % n) / n)
        angle = angle + steps.reshape([-1 if a == axis else 1 for a in range(grid.ndim)])
    return torch.polar(torch.ones_like(angle), angle) if complex_input else torch.cos(angle)


def _bins_at(power: Tensor, count: int) -> list[tuple[int, ...]]:
    """DFT bins of the `count` largest entries."""
    flat = torch.topk(power.flatten(), min(count, power.numel())).indices
    return [tuple(int(i) for i in torch.unravel_index(k, power.shape)) for k in flat]


def _spread_bins(grid: Grid, count: int, generator: torch.Generator, *, complex_input: bool) -> list[tuple[int, ...]]:
    """Bins spread over the octaves and directions, random within; all of them on small lines."""
    if grid.ndim == 1 and grid.size <= 2 * count:
        return [(k,) for k in range(grid.size if complex_input else grid.size // 2 + 1)]
    bins = []
    for _ in range(count):
        direction = torch.randn(grid.ndim, generator=generator, dtype=torch.float64)
        direction = direction / direction.abs().max()
        octave = 2.0 ** (-8.0 * float(torch.rand(1, generator=generator)))
        bins.append(tuple(round(float(u) * octave * (n // 2)) for u, n in zip(direction, grid.shape, strict=True)))
    return list(dict.fromkeys(bins))


def decay_bins(phi: FeatureExtractor, n: int, count: int = 3) -> list[tuple[int, ...]]:
    """Bins where ``|chi_n(xi)| |xi|`` is largest: the extremal modulations of the translation bound."""
    bank = phi.banks[n]
    radius = torch.linalg.vector_norm(bank.grid.frequencies(device=bank.output.device), dim=0)
    return _bins_at(bank.output.abs() * radius, count)


def tones(phi: FeatureExtractor, count: int, generator: torch.Generator) -> Tensor:
    """Tones at the extremes of the Littlewood-Paley sum, at ``sup |chi||xi|``, at atom centres, and spread.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    count : int
        Signals, about; at least 8.
    generator : torch.Generator
        Source of the random ones.

    Returns
    -------
    (n, *grid.shape) tensor
        Signals of unit root mean square, real or complex like those of `phi`.
    """
    grid, bank, device = phi.grid, phi.banks[0], phi.device
    total = bank.littlewood_paley(real=phi.real[0])
    bins = [(0,) * grid.ndim, *_bins_at(total, 2), *_bins_at(-total, 1), *decay_bins(phi, 0)]
    for n in range(1, phi.depth + 1):
        if phi.grids[n].shape == grid.shape:
            bins += decay_bins(phi, n, 1)
    bins += _peaks(bank)[: count // 3]
    bins += _spread_bins(grid, max(count - len(bins), 4), generator, complex_input=phi.complex_input)
    bins = list(dict.fromkeys(bins))[: max(count, 8)]
    signals = [tone(grid, k, complex_input=phi.complex_input, device=device) for k in bins]
    return unit_rms(torch.stack(signals), grid.ndim)


def _peaks(bank: Bank) -> list[tuple[int, ...]]:
    """Bin of the largest value of every atom."""
    if len(bank) == 0:
        return []
    index = bank.spectra.abs().flatten(1).argmax(1)
    return [tuple(int(i) for i in torch.unravel_index(k, bank.grid.shape)) for k in index]


def beats(phi: FeatureExtractor, count: int) -> Tensor:
    """Carriers a at atom peaks, times ``1 + cos b`` and the positive part of ``cos b``, b at ``sup |chi_n||xi|``.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    count : int
        Signals, at most.

    Returns
    -------
    (n, *grid.shape) tensor
        Signals of unit root mean square, real or complex like those of `phi`.
    """
    return modulated(phi, [(n, b) for n in range(1, phi.depth + 1) for b in decay_bins(phi, n, 1)], count)


def modulated(phi: FeatureExtractor, envelopes: Sequence[tuple[int, tuple[int, ...]]], count: int) -> Tensor:
    """Carriers at atom peaks of the first layer with envelopes ``1 + cos b`` and ``max(cos b, 0)``.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    envelopes : sequence of (int, tuple of int)
        A layer n, and a DFT bin b of its grid.
    count : int
        Signals, at most.

    Returns
    -------
    (n, *grid.shape) tensor
        Signals of unit root mean square, real or complex like those of `phi`.
    """
    grid, device = phi.grid, phi.device
    carriers = _peaks(phi.banks[0])
    signals = []
    for n, b in envelopes:
        coarse = phi.grids[n].shape
        signed = tuple((k - m if k > m // 2 else k) for k, m in zip(b, coarse, strict=True))
        envelope = tone(grid, signed, complex_input=False, device=device)
        for a in carriers[:: max(1, 2 * len(carriers) * len(envelopes) // max(count, 1))]:
            carrier = tone(grid, a, complex_input=phi.complex_input, device=device)
            signals += [(1 + envelope) * carrier, torch.relu(envelope) * carrier]
    if not signals[:count]:
        return torch.zeros((0, *grid.shape), dtype=torch.float64, device=device)
    return unit_rms(torch.stack(signals[:count]), grid.ndim)


def carried(phi: FeatureExtractor, envelopes: Tensor, count: int) -> Tensor:
    r"""Non-negative envelopes u on carriers with which an atom of the first layer passes them almost undamped.

    The carrier of an atom maximises :math:`\sum_k |\hat u(k)|^2 |\hat g(k + \xi)|^2`; then :math:`|f * g|` is near u.
    For real signals carriers of values :math:`\pm 1` (at the Nyquist frequencies) are tried too: with others the
    modulus of a real atom keeps their ripple.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    envelopes : (n, *grid.shape) tensor
        Real, float64.
    count : int
        Signals, at most: the best carrier of every envelope first.

    Returns
    -------
    (n, *grid.shape) tensor
        Signals of unit root mean square, real or complex like those of `phi`.
    """
    grid, device = phi.grid, phi.device
    half = [(0, n // 2) if n % 2 == 0 else (0,) for n in grid.shape]
    alternating = [] if phi.complex_input else [k for k in itertools.product(*half) if any(k)]
    passes = grid.fft((phi.banks[0].spectra.detach().abs() ** 2).to(device))
    choices = []
    for u in envelopes:
        spread = grid.fft(grid.fft(u).abs() ** 2)
        kept = grid.ifft(passes * spread.conj()).real.flatten(1).max(1)
        order = kept.indices[torch.argsort(kept.values, descending=True)]
        best = [tuple(int(i) for i in torch.unravel_index(k, grid.shape)) for k in order]
        choices.append([(u, k) for k in dict.fromkeys([*best[:1], *alternating, *best[1:]])])
    ranked = [c for rank in itertools.zip_longest(*choices) for c in rank if c is not None][:count]
    signals = [u * tone(grid, k, complex_input=phi.complex_input, device=device) for u, k in ranked]
    if not signals:
        return torch.zeros((0, *grid.shape), dtype=torch.float64, device=device)
    return unit_rms(torch.stack(signals), grid.ndim)


def atoms(phi: FeatureExtractor, count: int) -> Tensor:
    """Atoms of the first layer in space, the output atom first (real parts for real signals).

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    count : int
        Signals, at most.

    Returns
    -------
    (n, *grid.shape) tensor
        Signals of unit root mean square, real or complex like those of `phi`.
    """
    bank = phi.banks[0]
    every = max(1, len(bank) // max(count - 1, 1))
    spectra = torch.cat([bank.output[None].to(bank.spectra.dtype), bank.spectra[::every]]).to(phi.device)
    space = bank.grid.ifft(spectra)
    return unit_rms(space if phi.complex_input else space.real, bank.grid.ndim)[:count]


def spikes(phi: FeatureExtractor) -> Tensor:
    """A spike, a comb with the first layer's pooling factor as period, a step, and a constant.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.

    Returns
    -------
    (n, *grid.shape) tensor
        Signals of unit root mean square, four of them.
    """
    grid, device = phi.grid, phi.device
    spike = torch.zeros(grid.shape, dtype=torch.float64, device=device)
    spike[(0,) * grid.ndim] = 1.0
    period = max(2, int(phi.layers[0].pooling.factor))
    comb = torch.zeros_like(spike)
    comb[tuple(slice(None, None, period) for _ in grid.shape)] = 1.0
    step = torch.zeros_like(spike)
    step[tuple(slice(0, max(1, n // 2)) for n in grid.shape)] = 1.0
    signals = torch.stack([spike, comb, step, torch.ones_like(spike)])
    return unit_rms(signals.to(torch.complex128) if phi.complex_input else signals, grid.ndim)


def structured(phi: FeatureExtractor, count: int, generator: torch.Generator) -> Tensor:
    """Tones, beats, atoms and spikes, about `count` signals.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    count : int
        Signals, about.
    generator : torch.Generator
        Source of the random ones.

    Returns
    -------
    (n, *grid.shape) tensor
        Signals of unit root mean square, real or complex like those of `phi`.
    """
    parts = [tones(phi, count // 2, generator), beats(phi, count // 4), atoms(phi, count // 4), spikes(phi)]
    dtype = torch.complex128 if phi.complex_input else torch.float64
    return torch.cat([p.to(dtype) for p in parts])
