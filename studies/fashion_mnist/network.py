"""Modulus networks on small grids: every filter has a target grid, on which its map is sampled before the modulus."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from studies.fashion_mnist.banks import Bank, LowPass

#: Side of an image.
SIDE = 28


@dataclass(frozen=True)
class Layer:
    """Wavelets of one layer, and the samples per axis of the maps of each scale; 0 for a scale without maps."""

    bank: Bank
    grids: tuple[int, ...]


@dataclass(frozen=True)
class Configuration:
    """Network: where its maps are sampled, which scales follow each other, how the outputs are averaged and sampled.

    Parameters
    ----------
    layers : tuple of Layer
        One for each order.
    paths : tuple of tuples
        Scales of the paths of order two and higher, 1 being the finest: ``((1, 2), (1, 3))``. The paths of order one
        are all scales of the first layer that have maps. A path of order three needs its first two scales as a path of
        order two.
    output : LowPass
        Average of every map.
    samples : tuple of int
        Outputs per axis, for each order from zero on.
    pad : int
        Side of the image after reflection at its border.
    centred : bool
        Outputs in the middle of equal cells of the image; otherwise in their first pixel, as in kymatio.
    stride : int
        Keep the pairs of orientations of layers one and two whose indices differ by a multiple of this number.
    deep : LowPass, optional
        Average of the maps of order two and higher, where it is not `output`.
    """

    layers: tuple[Layer, ...]
    paths: tuple[tuple[int, ...], ...] = ()
    output: LowPass = field(default_factory=LowPass)
    samples: tuple[int, ...] = (7, 7, 7)
    pad: int = 32
    centred: bool = True
    stride: int = 1
    deep: LowPass | None = None

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Configuration:
        """From the result of `dataclasses.asdict`, or from its form in JSON."""
        layers = tuple(Layer(Bank(**layer["bank"]), tuple(layer["grids"])) for layer in settings["layers"])
        low = {key: LowPass(**settings[key]) for key in ("output", "deep") if settings.get(key)}
        paths = tuple(tuple(path) for path in settings["paths"])
        return cls(**{**settings, "layers": layers, "paths": paths, "samples": tuple(settings["samples"]), **low})

    def average(self, order: int) -> LowPass:
        """Average of the maps of an order."""
        return self.deep if order > 1 and self.deep else self.output

    @cached_property
    def name(self) -> str:
        """Short, unique among the candidates and free of blanks: the settings in order, defaults left out."""
        parts = []
        for layer in self.layers:
            bank, default = layer.bank, Bank(1, 1)
            text = f"{bank.family}.J{bank.J}L{bank.L}"
            text += f".c{bank.cut:.3g}" if bank.cut != default.cut else ""
            text += f".{bank.angular}" if bank.angular != default.angular else ""
            text += f".w{bank.width:g}" if bank.width != default.width else ""
            text += ".round" if bank.round else ""
            text += "" if bank.open else ".closed"
            text += f".tol{bank.tolerance:g}" if bank.tolerance != default.tolerance else ""
            text += f".slant{bank.slant:g}" if bank.slant else ""
            text += f".sigma{bank.sigma:g}" if bank.sigma != default.sigma else ""
            text += f".xi{bank.centre:g}" if bank.centre != default.centre else ""
            parts.append(text + "@" + "-".join(map(str, layer.grids)))
        parts.append("p" + ".".join("".join(map(str, path)) for path in self.paths))
        low = [f"{p.kind}{p.J}c{p.cut:.3g}" + (".crop" if p.crop else "") for p in (self.output, self.deep) if p]
        parts.append("+".join(low))
        parts.append("s" + ".".join(map(str, self.samples)) + ("" if self.centred else "first"))
        parts.append(f"n{self.pad}" + (f".stride{self.stride}" if self.stride > 1 else ""))
        return "_".join(parts)


def fold(spectrum: Tensor, m: int) -> Tensor:
    """Spectrum (..., n, n) -> (..., m, m) of the same function on m x m points: ``Y[k mod m] += X[k]``, k signed."""
    n = spectrum.shape[-1]
    if n == m:
        return spectrum
    left = -(n // 2) - m * math.floor(-(n // 2) / m)
    count = -(-(left + n) // m)
    right = count * m - left - n
    spectrum = torch.fft.fftshift(spectrum, dim=(-2, -1))
    spectrum = torch.nn.functional.pad(spectrum, (left, right, left, right))
    spectrum = spectrum.reshape(*spectrum.shape[:-2], count, m, count, m).sum((-4, -2))
    return spectrum * (m / n) ** 2


def restrict(spectra: Tensor, m: int) -> Tensor:
    """Filters (L, n, n) at the frequencies ``-m/2 <= k < m/2`` of a grid of m x m points on the same square."""
    n = spectra.shape[-1]
    start = n // 2 - m // 2
    inner = torch.fft.fftshift(spectra, dim=(-2, -1))[..., start : start + m, start : start + m]
    return torch.fft.ifftshift(inner, dim=(-2, -1))


class Network:
    """Executable form of a configuration.

    Parameters
    ----------
    configuration : Configuration
    device : str or torch.device

    Attributes
    ----------
    paths : list of tuple
        Scales of all paths of order one and higher, in the order of the features; the empty path is the image.
    grids, widths : dict
        Samples per axis and number of the maps of each path.
    filters : dict
        Of each path, the spectra (L, m, m) of its last filters on the grid of the maps before.
    pairs : dict
        Of each path, which map before and which filter make each of its maps.
    pools : dict
        Of each path, the matrix (samples, m) that averages its maps along one axis.
    """

    def __init__(self, configuration: Configuration, device: str | torch.device = "cpu") -> None:
        self.configuration = configuration
        self.device = torch.device(device)
        n = configuration.pad
        self._spectra = [layer.bank.spectra(n) for layer in configuration.layers]
        scales = [j for j, m in enumerate(configuration.layers[0].grids, start=1) if m]
        self.paths = [(j,) for j in scales] + sorted(configuration.paths, key=lambda p: (len(p), p))
        self.grids = {(): n}
        self.filters: dict[tuple[int, ...], Tensor] = {}
        self.pairs: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}
        self.widths = {(): 1}
        for path in self.paths:
            order, j = len(path), path[-1]
            spectra = self._spectra[order - 1][j - 1]
            self.filters[path] = restrict(spectra, self.grids[path[:-1]]).to(self.device, torch.float32)
            self.grids[path] = configuration.layers[order - 1].grids[j - 1]
            stride = configuration.stride if order == 2 else 1
            source, own = torch.arange(self.widths[path[:-1]])[:, None], torch.arange(len(spectra))
            pairs = torch.nonzero((source - own) % stride == 0)
            self.pairs[path] = tuple(pairs.T.to(self.device))
            self.widths[path] = len(pairs)
        self.pools = {path: self._pool(len(path), self.grids[path]) for path in self.grids}

    def features(self, images: Tensor) -> Tensor:
        """Outputs (batch, features) of images (batch, 28, 28), in the order of the paths: by order, then by scales."""
        before = (self.configuration.pad - SIDE) // 2
        after = self.configuration.pad - SIDE - before
        padded = torch.nn.functional.pad(images[:, None], (before, after, before, after), mode="reflect")
        outputs = {(): self._average(padded, ()), **dict(self._descend(padded, ()))}
        return torch.cat([outputs[path].flatten(1) for path in self.grids], dim=1)

    def count(self) -> int:
        """Number of features."""
        samples = self.configuration.samples
        return sum(self.widths[path] * samples[len(path)] ** 2 for path in self.grids)

    def flops(self) -> dict[str, float]:
        """Estimated MFLOP per image: transforms, multiply and fold, modulus, pooling, and their total.

        A complex transform of m x m samples counts ``5 m^2 log2 m^2``, a real one half of it. A filter is applied on
        the rows and columns where it is not zero (4 per sample); the modulus counts 4 per sample, a matrix product 2
        per multiplication. By the same rules kymatio, as it executes `candidates.REFERENCE`, counts 3.96.
        """
        cost = dict.fromkeys(("transforms", "multiply", "modulus", "pooling"), 0.0)
        cost["transforms"] += 0.5 * _transform(self.grids[()])
        for path in self.grids:
            m, maps, s = self.grids[path], self.widths[path], self.configuration.samples[len(path)]
            cost["pooling"] += maps * 2.0 * (s * m * m + s * s * m)
            if not path:
                continue
            filters = self.filters[path].abs() > 0
            boxes = filters.any(-1).sum(-1) * filters.any(-2).sum(-1)
            cost["multiply"] += 4.0 * float(boxes[self.pairs[path][1]].sum())
            cost["transforms"] += maps * _transform(m)
            cost["modulus"] += maps * 4.0 * m * m
            if any(longer[:-1] == path for longer in self.paths):
                cost["transforms"] += maps * 0.5 * _transform(m)
        cost = {part: value / 1e6 for part, value in cost.items()}
        return {**cost, "total": sum(cost.values())}

    def _descend(self, maps: Tensor, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Tensor]]:
        children = [longer for longer in self.paths if longer[:-1] == path]
        if not children:
            return
        spectrum = torch.fft.fft2(maps)
        for child in children:
            source, filters = self.pairs[child]
            product = spectrum[:, source] * self.filters[child][filters]
            inner = torch.fft.ifft2(fold(product, self.grids[child])).abs()
            yield child, self._average(inner, child)
            yield from self._descend(inner, child)

    def _average(self, maps: Tensor, path: tuple[int, ...]) -> Tensor:
        pool = self.pools[path]
        return pool @ maps @ pool.T

    def _pool(self, order: int, m: int) -> Tensor:
        """Matrix (samples, m): low-pass and sampling along one axis."""
        configuration = self.configuration
        n, s = configuration.pad, configuration.samples[order]
        cell = SIDE / s
        first = (n - SIDE) // 2 + (0.5 * (cell - 1) if configuration.centred else 0.0)
        positions = first + cell * torch.arange(s, dtype=torch.float64)
        output = configuration.average(order)
        size = m if output.crop else n
        k = torch.arange(-(size // 2), size - size // 2, dtype=torch.float64)
        points = torch.arange(m, dtype=torch.float64) * (n / m)
        phase = 2 * math.pi / n * k * (positions[:, None, None] - points[:, None])
        kernel = (output.amplitude(k / n) * torch.cos(phase)).sum(-1) / m
        return kernel.to(self.device, torch.float32)


def extract(network: Network, images: Tensor, batch: int) -> Tensor:
    """Features of images that lie on any device, as one tensor on the network's device."""
    result = torch.empty(len(images), network.count(), device=network.device)
    for start in range(0, len(images), batch):
        part = images[start : start + batch].to(network.device)
        result[start : start + batch] = network.features(part)
    return result


def _transform(m: int) -> float:
    return 5.0 * m * m * math.log2(m * m)
