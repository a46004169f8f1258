"""The same coefficients, tables and attributes as kymatio 0.3.0."""

import json

import numpy as np
import pytest
import torch
from scattering.references import CASES, FILE, flat, signal

from scatter_theory.adapters import kymatio
from scatter_theory.scattering import Scattering1D, Scattering2D
from scatter_theory.scattering._line_filters import line_wavelets

#: Relative to the largest coefficient; kymatio stores its filters in single precision.
AGREEMENT = 1e-5
OURS = {1: Scattering1D, 2: Scattering2D}

# Both warn of low-passes that do not decay within the signal.
pytestmark = [pytest.mark.filterwarnings("ignore:.*(does not decay within|Signal support is too small):UserWarning")]


def draw(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def difference(ours, theirs):
    """Largest difference, relative to the largest value."""
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_stored_coefficients(name, dtype):
    d, options = CASES[name]
    found = flat(OURS[d](**options, dtype=dtype)(signal(options["shape"]).to(dtype)))
    assert difference(found, torch.tensor(json.loads(FILE.read_text(encoding="utf-8"))[name])) <= AGREEMENT


def kymatio_or_skip():
    pytest.importorskip("kymatio", reason="kymatio is not installed")


LINES = [
    (4, 256, 1, {}),
    (6, 1000, 8, {}),
    (5, 333, (4, 2), {}),
    (5, 333, (4,), {}),
    (6, 64, 1, {}),
    (0, 64, 1, {}),
    (2, 64, 16, {}),
    (3, 8, 2, {}),
    (5, 512, 2, {"T": 7}),
    (5, 512, 2, {"T": 300.5}),
    (5, 512, 2, {"T": 1}),
    (5, 512, 2, {"oversampling": 1}),
    (5, 512, 2, {"oversampling": 5}),
    (7, 777, 12, {"T": 50, "oversampling": 2}),
    (5, 512, 3, {"max_order": 1}),
]


@pytest.mark.parametrize(("J", "n", "Q", "options"), LINES, ids=str)
def test_lines(J, n, Q, options):
    kymatio_or_skip()
    theirs, x = kymatio.scattering1d(J, n, Q, **options), draw(2, 3, n)
    expected = theirs(x)
    ours = Scattering1D(J, n, Q, **options)
    assert difference(ours(x.float()), expected) <= AGREEMENT
    assert difference(ours.double()(x), expected) <= 1e-7

    assert list(ours.meta()) == list(theirs.meta())
    assert ours.meta()["key"] == theirs.meta()["key"]
    for name in ("order", "xi", "sigma", "j", "n"):
        np.testing.assert_array_equal(ours.meta()[name], theirs.meta()[name], strict=True)
    assert ours.output_size() == theirs.output_size()
    assert ours.output_size(detail=True) == theirs.output_size(detail=True)
    attributes = "J Q T log2_T max_order shape average oversampling out_type pad_left pad_right ind_start ind_end"
    for name in attributes.split():
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.padded_shape == (theirs._N_padded,)


@pytest.mark.parametrize("out_type", ["list", "dict"])
@pytest.mark.parametrize(
    "options", [{"T": 0}, {"T": 0, "oversampling": 1}, {"T": 0, "max_order": 1}, {"T": 20}], ids=str
)
def test_lines_as_lists_and_dicts(options, out_type):
    kymatio_or_skip()
    x = draw(2, 3, 300)
    theirs = kymatio.scattering1d(5, 300, 4, out_type=out_type, **options)(x)
    ours = Scattering1D(5, 300, 4, out_type=out_type, dtype=torch.float64, **options)(x)
    if out_type == "list":
        assert [(c["j"], c["n"]) for c in ours] == [(c["j"], c["n"]) for c in theirs]
        ours, theirs = ({c["n"]: c["coef"] for c in one} for one in (ours, theirs))
    assert list(ours) == list(theirs)
    largest = max(float(v.abs().max()) for v in theirs.values())
    assert all(ours[q].shape == v.shape for q, v in theirs.items())
    assert max(float((ours[q] - v).abs().max()) for q, v in theirs.items()) <= 1e-7 * largest


@pytest.mark.parametrize("average", [True, False])
def test_the_deprecated_average(average):
    kymatio_or_skip()
    x, options = draw(100), {"T": None, "average": average, "out_type": "dict"}
    with pytest.warns(DeprecationWarning):
        theirs = kymatio.scattering1d(4, 100, 2, **options)
    with pytest.warns(DeprecationWarning, match="give T=0"):
        ours = Scattering1D(4, 100, 2, dtype=torch.float64, **options)
    assert ours.average == theirs.average == average
    for q, value in theirs(x).items():
        assert difference(ours(x)[q], value) <= 1e-6


def test_wavelets_to_the_last_bit():
    kymatio_or_skip()
    from kymatio.scattering1d.filter_bank import compute_params_filterbank

    for J in range(14):
        for Q in range(1, 25):
            xi, sigma, j = compute_params_filterbank(0.1 / 2**J, Q, 5.0)
            assert [(w.xi, w.sigma, w.j) for w in line_wavelets(J, Q)] == list(zip(xi, sigma, j, strict=True))


PLANES = [
    (2, (32, 32), 8, {}),
    (3, (40, 24), 4, {}),
    (2, (17, 23), 6, {}),
    (3, (8, 8), 8, {}),
    (3, (9, 31), 3, {}),
    (1, (4, 5), 2, {}),
    (2, (32, 32), 8, {"max_order": 1}),
    (2, (32, 24), 8, {"pre_pad": True}),
]


@pytest.mark.parametrize(("J", "shape", "L", "options"), PLANES, ids=str)
def test_planes(J, shape, L, options):
    kymatio_or_skip()
    theirs, ours = kymatio.scattering2d(J, shape, L, **options), Scattering2D(J, shape, L, **options)
    assert ours.padded_shape == (theirs._M_padded, theirs._N_padded)
    x = draw(2, 3, *(ours.padded_shape if options.get("pre_pad") else shape))
    expected = theirs(x)
    assert difference(ours(x.float()), expected) <= AGREEMENT
    assert difference(ours.double()(x), expected) <= 1e-6
    assert ours.output_size() == expected.shape[2]


def test_planes_as_lists():
    kymatio_or_skip()
    x = draw(2, 16, 20)
    theirs = kymatio.scattering2d(2, (16, 20), 4, out_type="list")(x)
    S = Scattering2D(2, (16, 20), 4, out_type="list", dtype=torch.float64)
    ours, meta = S(x), S.meta()
    assert [(c["j"], c["theta"], c["n"]) for c in ours] == [(c["j"], c["theta"], c["n"]) for c in theirs]
    for i, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        assert difference(one["coef"], other["coef"]) <= 1e-6
        assert meta["key"][i] == other["n"] and meta["order"][i] == len(other["n"])
        for name in ("j", "theta", "n"):
            assert tuple(meta[name][i, : len(other[name])]) == other[name]
            assert np.isnan(meta[name][i, len(other[name]) :]).all()


def test_gradients():
    kymatio_or_skip()
    for theirs, ours, x in [
        (kymatio.scattering1d(4, 200, 4), Scattering1D(4, 200, 4, dtype=torch.float64), draw(5, 200)),
        (kymatio.scattering2d(2, (12, 16), 4), Scattering2D(2, (12, 16), 4, dtype=torch.float64), draw(5, 12, 16)),
    ]:
        weights = draw(*ours(x).shape)
        found = []
        for S in (ours, theirs):
            y = x.clone().requires_grad_()
            (S(y) * weights).sum().backward()
            found.append(y.grad)
        assert difference(*found) <= 1e-6
