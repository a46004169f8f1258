"""Features of Morlet wavelets, modulus and frequency-decreasing paths against the transforms of kymatio 0.3.0.

The extractor gets the padded signal of kymatio. kymatio samples its maps at lower rates in between, which the extractor
does not by itself. Where kymatio is asked not to (``oversampling=J`` in one dimension, its own algorithm with the
sampling step left out in two) both agree to single precision, in which kymatio stores its filters. What its sampling
costs is measured by itself; and an extractor that is told to sample in the same places agrees with stock kymatio.
"""

import pytest
import pywt
import torch
from torch.nn.functional import pad

from scatter_theory import FeatureExtractor, Grid, Layer, Modulus, Subsample
from scatter_theory.adapters import kymatio
from scatter_theory.frames import Filters, Morlet
from scatter_theory.paths import FixedPaths, FrequencyDecreasing

pytest.importorskip("kymatio", reason="kymatio is not installed")

AGREEMENT = 1e-5


def features(frames, padded):
    """Values of orders 0, 1, 2 on the padded grid, ``(n_paths, *shape)`` each."""
    layers = [Layer(frame, Modulus()) for frame in frames]
    phi = FeatureExtractor(layers, Grid.of(padded.shape), paths=FrequencyDecreasing())
    return [layer.values for layer in phi(padded)]


def difference(ours, theirs):
    """Largest difference, relative to the largest value."""
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


def line(J, Q, **options):
    """Kymatio's list of coefficients of an electrocardiogram and our features, both restricted to the signal."""
    x = torch.tensor(pywt.data.ecg(), dtype=torch.float64)
    transform = kymatio.scattering1d(J, len(x), Q, out_type="list", **options)
    padded = pad(x[None], (transform.pad_left, transform.pad_right), mode="reflect")[0]
    k = max(J - transform.oversampling, 0)
    inside = slice(transform.ind_start[k], transform.ind_end[k])
    ours = [v[:, :: 2**k][:, inside] for v in features([Morlet(J=J, Q=Q), Morlet(J=J)], padded)]
    return ours, transform(x)


@pytest.mark.parametrize(("J", "Q"), [(4, 1), (5, 2), (6, 8)])
def test_one_dimension(J, Q):
    ours, theirs = line(J, Q, oversampling=J)
    for order, values in enumerate(ours):
        expected = torch.stack([c["coef"] for c in theirs if len(c["n"]) == order])
        assert len(expected) >= (1, 2, 4)[order]
        assert difference(values, expected) <= AGREEMENT


@pytest.mark.parametrize(("J", "Q", "aliasing"), [(4, 1, 1e-4), (6, 8, 3e-3)])
def test_one_dimension_with_the_default_sampling(J, Q, aliasing):
    """kymatio 0.3.0 averages, instead of summing, its filters over the periods: a factor 1/2 for every halving.

    With the factor undone what remains is the aliasing of its intermediate sampling.
    """
    ours, theirs = line(J, Q)
    for order, values in enumerate(ours):
        chosen = [c for c in theirs if len(c["n"]) == order]
        raw = torch.stack([c["coef"] for c in chosen])
        # The maps that enter the convolutions after the first are sampled at 2^j1, then at 2^j2.
        halvings = torch.tensor([float(sum(c["j"])) for c in chosen])
        assert difference(values, raw * (2.0**halvings)[:, None]) <= aliasing
        if order:
            assert difference(values, raw) > 0.5, "without the factor the coefficients differ"


class Unsampled(list):
    """Filters of which every level is the one of the full grid."""

    def __getitem__(self, level):
        return super().__getitem__(0)


def without_sampling(transform):
    """Kymatio's two-dimensional algorithm with its own padding and filters, and no sampling in between."""
    from kymatio.scattering2d.backend.torch_backend import TorchBackend2D
    from kymatio.scattering2d.core.scattering2d import scattering2d

    class Backend(TorchBackend2D):
        @classmethod
        def subsample_fourier(cls, x, k):
            return x

    low, wavelets = transform.load_filters()
    low = {**low, "levels": Unsampled(low["levels"])}
    wavelets = [{**w, "levels": Unsampled(w["levels"])} for w in wavelets]

    def unpad(x):
        return x[..., 0]

    return lambda x: scattering2d(
        x[None], transform.pad, unpad, Backend, transform.J, transform.L, low, wavelets, max_order=2
    )[0]


def square(J, L, n):
    """A part of the camera image, kymatio's transform and our features on the padded grid, with their numbers."""
    x = torch.tensor(pywt.data.camera(), dtype=torch.float64)[100 : 100 + 4 * n : 4, 200 : 200 + 4 * n : 4] / 255
    x = x.contiguous()
    transform = kymatio.scattering2d(J, (n, n), L)
    ours = features([Morlet(J=J, L=L)] * 2, transform.pad(x[None])[0, ..., 0])
    counts = [len(v) for v in ours]
    assert counts == [1, J * L, J * (J - 1) // 2 * L**2]
    return x, transform, ours, counts


@pytest.mark.parametrize(("J", "L", "n"), [(2, 4, 32), (3, 8, 64)])
def test_two_dimensions(J, L, n):
    x, transform, ours, counts = square(J, L, n)
    for values, expected in zip(ours, without_sampling(transform)(x).split(counts), strict=True):
        assert difference(values, expected) <= AGREEMENT


def test_two_dimensions_with_the_default_sampling():
    """The intermediate sampling of kymatio aliases a few per cent of the largest coefficient."""
    J, L = 3, 4
    x, transform, ours, counts = square(J, L, 64)
    differences = [
        difference(values[:, :: 2**J, :: 2**J][:, 1:-1, 1:-1], expected)
        for values, expected in zip(ours, transform(x).split(counts), strict=True)
    ]
    assert differences[0] <= AGREEMENT
    assert 1e-3 < differences[1] < 0.06 and 1e-3 < differences[2] < 0.06


def cropped(bank, level):
    """The atoms of a bank as kymatio keeps them for maps sampled at every 2^level-th point: their low frequencies."""
    shape = [n >> level for n in bank.grid.shape]
    spectra = torch.cat([bank.output[None], bank.spectra])
    for axis, (n, m) in enumerate(zip(bank.grid.shape, shape, strict=True), 1):
        kept = torch.cat([torch.arange(m - m // 2), torch.arange(n - m // 2, n)])
        spectra = spectra.index_select(axis, kept)
    return Filters(spectra[1:], output=spectra[0], kind="spectra")


def sampled_as_kymatio(padded, J, L):
    """Orders 0, 1, 2 with kymatio's sampling in between, ``{path: values}``, from extractors in mode "decimate".

    After the first modulus at scale j1 every 2^j1-th sample is kept, after the second every 2^(j2 - j1)-th: one network
    for every pair j1 < j2. Only the filters on the coarser grids are prepared, by cropping those of the first grid.
    """
    grid, frame, found = Grid.of(padded.shape), Morlet(J=J, L=L, sided="half"), {}
    levels = [cropped(frame.on(grid), j) for j in range(J)]

    def run(layers, final, paths):
        phi = FeatureExtractor(layers, grid, final=final, paths=FixedPaths(paths), sampling="decimate")
        return phi(padded).layers

    for j1 in range(J):
        first = Layer(frame, Modulus(), Subsample(2**j1))
        ones = [(j1 * L + k,) for k in range(L)]
        orders = run([first], levels[j1], ones)
        found[()] = orders[0].values[0, :: 2**J, :: 2**J]
        step = 2 ** (J - j1)
        found |= {path: value[::step, ::step] for path, value in zip(ones, orders[1].values, strict=True)}
        for j2 in range(j1 + 1, J):
            second = Layer(levels[j1], Modulus(), Subsample(2 ** (j2 - j1)))
            twos = [(*one, j2 * L + k) for one in ones for k in range(L)]
            step = 2 ** (J - j2)
            values = run([first, second], levels[j2], twos)[2].values[:, ::step, ::step]
            found |= dict(zip(twos, values, strict=True))
    return found


@pytest.mark.parametrize(("J", "L", "n"), [(2, 4, 32), (3, 8, 64)])
def test_two_dimensions_sampled_as_kymatio_does(J, L, n):
    """Stock kymatio, its aliasing included: the extractor can be told to sample in the same places."""
    x, transform, _, counts = square(J, L, n)
    found = sampled_as_kymatio(transform.pad(x[None])[0, ..., 0], J, L)
    for order, expected in enumerate(transform(x).split(counts)):
        ours = torch.stack([found[path] for path in sorted(p for p in found if len(p) == order)])
        assert difference(ours[:, 1:-1, 1:-1], expected) <= AGREEMENT
