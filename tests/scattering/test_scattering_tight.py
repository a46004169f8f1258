"""Tight frames: their Littlewood-Paley sum is 1, and the features hold no more energy than the signal."""

import numpy as np
import pytest
import torch

from scatter_theory.scattering import FilterOrder, Scattering1D, Scattering2D
from scatter_theory.scattering._orders import littlewood_paley
from scatter_theory.scattering._reductions import energetic

pytestmark = pytest.mark.filterwarnings("ignore:.*does not decay within:UserWarning")


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def line(J, n, Q=1, **options):
    return Scattering1D(J, n, Q, dtype=torch.float64, **options)


def plane(J, shape, L=8, **options):
    return Scattering2D(J, shape, L, dtype=torch.float64, **options)


TIGHT = {
    "line": lambda **o: line(5, 256, (4, 1), padding="periodic", **o),
    "padded line": lambda **o: line(5, 200, 8, **o),
    "plane": lambda **o: plane(2, (16, 24), 6, padding="periodic", **o),
    "odd plane": lambda **o: plane(2, (15, 22), 8, **o),
}


@pytest.mark.parametrize("name", TIGHT)
def test_tight_frames(name):
    """Sum 1 at every frequency, on the padded grid and on every coarser one; as kymatio has them, far from it."""
    S = TIGHT[name](tight=True)
    for order, total in zip(S.filters(), S.littlewood_paley(), strict=True):
        assert total.shape == S.padded_shape
        np.testing.assert_allclose(total, 1.0, rtol=1e-12)
        for level in range(1, S.J):
            shape = S._layout.size(level)
            coarse = FilterOrder(energetic(order.spectra, shape), order.j, energetic(order.low, shape))
            np.testing.assert_allclose(littlewood_paley(coarse), 1.0, rtol=1e-12)
    assert all(total.max() / total.min() > 2 for total in TIGHT[name]().littlewood_paley())


@pytest.mark.parametrize("complex_input", [False, True])
@pytest.mark.parametrize("name", ["line", "plane"])
def test_energy_and_distances(name, complex_input):
    """With every sample kept there is no aliasing, and the argument for tight frames is exact."""
    J = 5 if name == "line" else 2
    S = TIGHT[name](tight=True, oversampling=J, complex_input=complex_input)
    x = draw(6, *S.shape, dtype=torch.complex128 if complex_input else torch.float64)
    x = torch.cat([x, x.cumsum(-1), torch.eye(x[0].numel(), dtype=x.dtype)[:2].reshape(2, *S.shape)])
    y = S(x)
    energy, total = y.abs().square().flatten(1).sum(1), x.abs().square().flatten(1).sum(1)
    assert (energy <= total * (1 + 1e-12)).all()
    assert (energy >= 0.6 * total).all(), "orders 0 to 2 hold most of the energy"
    distance = (y[1:] - y[:-1]).abs().square().flatten(1).sum(1)
    assert (distance <= (x[1:] - x[:-1]).abs().square().flatten(1).sum(1) * (1 + 1e-12)).all()


def test_energy_with_the_default_sampling():
    S = TIGHT["line"](tight=True)
    x = draw(6, 256)
    energy = S(x).square().sum((1, 2)) * 2**S.log2_T
    assert (energy <= 1.001 * x.square().sum(1)).all() and (energy >= 0.9 * x.square().sum(1)).all()


def test_frames_with_holes_cannot_be_made_tight():
    with pytest.raises(ValueError, match=r"tight=True.*some frequencies are in no filter"):
        line(1, 64, 16, tight=True)
