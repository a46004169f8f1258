"""kymatio's transforms as extractors: its own output, its own frame bounds, and verdicts with them."""

import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory.adapters import kymatio
from scatter_theory.constants import Constant
from scatter_theory.frames import FrameBounds

pytest.importorskip("kymatio", reason="kymatio is not installed")

SEARCH = st.verify.Effort(random=4, structured=8, steps=5)
ABOVE_ONE = pytest.mark.filterwarnings("ignore:.FeatureExtractor.*not admissible:UserWarning")


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def distance(transform, x, expected=None):
    """Relative distance of the sampled features from kymatio's output, order by order."""
    phi = kymatio.extractor(transform)
    found = kymatio.sampled(transform, phi(kymatio.padded(transform, x)))
    expected = transform(x) if expected is None else expected
    assert found.shape == expected.shape
    counts = [len(layer.paths) for layer in phi(kymatio.padded(transform, x))]
    axis = x.ndim - len(phi.grid.shape)
    pairs = zip(found.split(counts, axis), expected.split(counts, axis), strict=True)
    return [float((ours - theirs).norm() / theirs.norm()) for ours, theirs in pairs]


@pytest.mark.parametrize(
    ("J", "n", "options"),
    [
        (4, 256, {}),
        (5, 300, {"Q": 4}),
        (5, 500, {"Q": (8, 2)}),
        (5, 300, {"Q": 2, "T": 8}),
        (4, 200, {"max_order": 1}),
    ],
    ids=str,
)
def test_without_sampling_a_line_is_kymatio_to_the_last_digits(J, n, options):
    transform = kymatio.scattering1d(J, n, **({"Q": 1} | options), oversampling=J)
    found = distance(transform, noise(2, 3, n))
    assert len(found) == 1 + options.get("max_order", 2) and max(found) < 1e-12


@pytest.mark.parametrize(
    ("J", "options"), [(4, {}), (5, {"Q": 4}), (5, {"Q": 4, "oversampling": 1}), (5, {"T": 8})], ids=str
)
def test_sampling_of_a_line_aliases_little(J, options):
    """With kymatio's powers of 1/2 at the halvings; without them orders 1 and 2 would be off by far more than 10 %."""
    assert max(distance(kymatio.scattering1d(J, 300, **({"Q": 1} | options)), noise(2, 300))) < 1e-2


@ABOVE_ONE
@pytest.mark.parametrize(
    ("J", "shape", "options"),
    [
        (2, (16, 16), {"L": 4}),
        (3, (32, 24), {"L": 2}),
        (2, (17, 19), {"L": 4, "max_order": 1}),
        (1, (16, 16), {"L": 4, "pre_pad": True}),
    ],
    ids=str,
)
def test_images(J, shape, options):
    """Order 0 is not sampled before it is averaged; beyond it sampling aliases white noise, by up to a tenth."""
    transform = kymatio.scattering2d(J, shape, **options)
    x = noise(2, *((transform._M_padded, transform._N_padded) if transform.pre_pad else shape))
    found = distance(transform, x)
    assert found[0] < 1e-6 and max(found[1:]) < 0.1


def test_front_end_of_numpy():
    """The same filters as arrays."""
    from kymatio.scattering1d.frontend.numpy_frontend import ScatteringNumPy1D

    transform = ScatteringNumPy1D(4, 256, Q=1, oversampling=4)
    x = noise(2, 256)
    assert max(distance(transform, x, torch.tensor(transform(x.numpy())))) < 1e-6


def even_sum(low, wavelets):
    """Littlewood-Paley sum for real signals, by its formula."""
    mirror = np.ix_(*(-np.arange(n) % n for n in low.shape))
    total = sum(np.abs(w) ** 2 for w in wavelets)
    return low**2 + (total + total[mirror]) / 2


@ABOVE_ONE
@pytest.mark.parametrize(("J", "L", "shape"), [(2, 8, (16, 16)), (3, 8, (32, 24))], ids=str)
def test_bounds_are_those_of_the_filters(J, L, shape):
    """From kymatio's own arrays; above 1 for three octaves and eight directions, by 1.9 %."""
    transform = kymatio.scattering2d(J, shape, L)
    low, wavelets = (np.asarray(transform.phi["levels"][0]), [np.asarray(w["levels"][0]) for w in transform.psi])
    expected = even_sum(low.astype(float).squeeze(), [w.astype(float).squeeze() for w in wavelets])
    phi = kymatio.extractor(transform)
    A, B = phi.banks[0].bounds(real=True)
    assert A == pytest.approx(expected.min(), rel=1e-6) and B == pytest.approx(expected.max(), rel=1e-6)
    assert phi.certified_lipschitz().value > 1
    if J == 3:
        assert 1.018 < B < 1.019


@ABOVE_ONE
def test_verifiers_see_the_upper_bound_above_one():
    """The frame attains its B, B = 1 is refuted by a signal, and the bound on distances is not that of B = 1."""
    phi = kymatio.extractor(kymatio.scattering2d(3, (16, 16), 8))
    bank = phi.banks[0]
    B = bank.bounds(real=True).B.value
    assert B > 1.01

    true = st.verify.frame(bank, real=True, effort=SEARCH, generator=0)
    assert true.holds and true.measured[0] == pytest.approx(B, rel=1e-3)

    exact = bank.bounds(real=True)
    one = FrameBounds(exact.A, Constant(1.0, "claimed", "declared"), exact.argmin, exact.argmax)
    claimed = st.verify.frame(bank, real=True, declared=one, effort=SEARCH, generator=0)
    assert claimed.outcome is st.Outcome.VIOLATED

    assert st.verify.admissibility(phi).outcome is st.Outcome.VIOLATED
    theorem = st.verify.translation(phi, shifts=[1], effort=st.verify.Effort(0, 0, 0), signals=noise(32, 32))
    assert theorem.outcome is st.Outcome.INAPPLICABLE


def test_a_line_holds():
    """B = 1 on a line: the theorem of translations and the Lipschitz bound, on the user's signals and searched ones."""
    transform = kymatio.scattering1d(4, 256, Q=1)
    phi = kymatio.extractor(transform)
    x = kymatio.padded(transform, noise(2, 256))
    check = st.verify.translation(phi, x, shifts=[1, 4], bound="multiplier", effort=SEARCH, generator=0)
    assert check.holds and check.worst == pytest.approx(1.0, abs=1e-9)  # a tone attains it at layer 0
    lipschitz = st.verify.lipschitz(phi, effort=SEARCH, generator=0)
    assert lipschitz.holds and lipschitz.worst > 0.5


def test_refusals():
    with pytest.raises(TypeError, match="expected a Scattering1D or Scattering2D of kymatio"):
        kymatio.extractor(st.Scattering1D(3, 256))
    moduli = kymatio.scattering1d(4, 256, T=0, out_type="list")
    with pytest.raises(ValueError, match="average=False"):
        kymatio.extractor(moduli)
    transform = kymatio.scattering1d(4, 256)
    for x in (noise(2, 100), noise(2, 256) + 1j):
        with pytest.raises(ValueError, match=r"expected real signals of shape \(\*batch, 256\)"):
            kymatio.padded(transform, x)
