"""What the tests of the fast engine share: components to combine, direct evaluation of trigonometric polynomials."""

import inspect
import random
from contextlib import suppress

import numpy as np
import torch

import scatter_theory as st

FAMILIES = [
    family
    for family in (getattr(st.frames, name) for name in st.frames.__all__)
    if inspect.isclass(family) and issubclass(family, st.frames.Frame) and not inspect.isabstract(family)
]
NONLINEARITIES = [
    st.Modulus(), st.ReLU(), st.Tanh(), st.Sigmoid(), st.Identity(), st.LeakyReLU(), st.ELU(), st.SoftThreshold(),
    st.GELU(), st.SiLU(), st.PhaseReLU(), st.Pointwise(torch.sin, 1.0),
]  # fmt: skip
POOLINGS = [
    ("dilate", st.NoPooling()),
    ("dilate", st.Subsample(2)),
    ("dilate", st.Subsample(1.7)),
    ("dilate", st.Average(2)),
    ("dilate", st.Average(2, kernel=(0.25, 0.5, 0.25))),
    ("dilate", st.Pool(lambda x: 0.5 * x, 0.5)),
    ("decimate", st.Subsample(2)),
    ("decimate", st.Average(2)),
    ("decimate", st.Average(2, kernel=(0.25, 0.5, 0.25))),
    ("decimate", st.Max(2)),
    ("decimate", st.Max(2, window=3)),
    ("decimate", st.Pool(lambda x: 0.5 * x, 0.5)),
]
GRIDS = {1: st.Grid.line(48), 2: st.Grid.of((12, 16), sample_rate=2.0), 3: st.Grid.of((8, 6, 8))}


def examples(dims=(1, 2, 3)):
    """A small frame of every family in every dimension where the family exists: (frame, d)."""
    found = []
    for family in FAMILIES:
        for d in dims:
            with suppress(ValueError):
                found.append((family.example(d), d))
    return found


def name_of(value):
    """Short test identifiers for frames and whatever else."""
    return type(value).__name__ if isinstance(value, st.frames.Frame) else repr(value)


def draw(shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def array(shape, seed=0, kind="complex"):
    """The same as a numpy array, real or complex."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape)
    return values + 1j * rng.standard_normal(shape) if kind == "complex" else values


def network(layers, grid, most=12, **options):
    """An exact extractor; a few paths chosen at random where there are many."""
    options.setdefault("max_bytes", 2**40)
    phi = st.FeatureExtractor(layers, grid, paths=st.FixedPaths([]), **options)
    counts = [len(bank) for bank in phi.banks[:-1]]
    if np.prod(counts) <= most:
        return phi.rebuilt(paths=st.AllPaths())
    generator = random.Random(0)
    return phi.rebuilt(paths=st.FixedPaths([tuple(map(generator.randrange, counts)) for _ in range(most)]))


def frequencies(n):
    """The integers -n/2 <= k < n/2 in the order of the DFT."""
    return [k if 2 * k < n else k - n for k in range(n)]


def evaluated(values, shape):
    """Samples at `shape` points of the trigonometric polynomials through `values`, by dense sums over frequencies."""
    d, result = len(shape), values.to(torch.complex128)
    for axis, m in enumerate(shape, start=-d):
        n = values.shape[axis]
        k, j, s = np.array(frequencies(n)), np.arange(m) / m, np.arange(n) / n
        matrix = np.exp(2j * np.pi * np.outer(j, k)) @ np.exp(-2j * np.pi * np.outer(k, s)) / n
        result = torch.movedim(torch.tensordot(torch.from_numpy(matrix), result, dims=([1], [axis])), 0, axis)
    return result if values.is_complex() else result.real


def distances(fast, exact):
    """Per layer the largest norm of the difference of features, relative to the norm of the signals."""
    found = []
    norms = exact.remainder[0].sqrt()
    for a, b in zip(fast, exact, strict=True):
        assert a.paths == b.paths and a.scales == b.scales and a.n == b.n
        assert np.allclose(a.grid.extent, b.grid.extent, rtol=1e-13)
        expected = evaluated(b.values, a.grid.shape)
        assert a.values.shape == expected.shape and a.values.is_complex() == expected.is_complex()
        gap = a.grid.energy(a.values.detach() - expected).sum(-1).sqrt()
        found.append(float((gap / norms).max()) if gap.numel() else 0.0)
    return found


def energy_gaps(fast, exact):
    """Largest differences of the energies of every layer and of the pruned energy, relative to the signals' energy."""
    pairs = zip((*fast.remainder, fast.pruned), (*exact.remainder, exact.pruned), strict=True)
    return [float(((a - b).abs() / exact.remainder[0]).max()) for a, b in pairs]
