"""What the README says of kymatio 0.3.0, tried with the installed package."""

from __future__ import annotations

import inspect
from importlib import import_module, metadata

import pytest
import scipy
import torch

from scatter_theory.adapters import kymatio

pytest.importorskip("kymatio")


@pytest.fixture(scope="module")
def line():
    return type(kymatio.scattering1d(4, 256, Q=1))


@pytest.fixture(scope="module")
def plane():
    return type(kymatio.scattering2d(2, (32, 32), L=2))


def test_version_and_front_ends():
    assert metadata.version("kymatio") == "0.3.0"
    files = {path.name for path in metadata.files("kymatio") if len(path.parts) == 2}
    assert {f"{name}.py" for name in ("numpy", "torch", "tensorflow", "jax", "keras", "sklearn")} <= files


def test_order_3_is_taken_as_1(line):
    x = torch.randn(1, 256, generator=torch.Generator().manual_seed(0))
    three, one = (line(J=4, shape=256, Q=1, max_order=order)(x) for order in (3, 1))
    assert torch.equal(three, one)
    assert line(J=4, shape=256, Q=1, max_order=2)(x).shape[1] > one.shape[1]


def test_no_choice_of_non_linearity_pooling_padding_or_bounds(line, plane):
    for kind in (line, plane):
        taken = set(inspect.signature(kind).parameters)
        assert not taken & {"nonlinearity", "pooling", "padding", "pad_mode", "frame", "filters"}
        assert not [name for name in dir(kind) if "bound" in name.lower()]
    assert "pre_pad" in inspect.signature(plane).parameters


@pytest.mark.parametrize("d", [1, 2])
def test_complex_signals(line, plane, d):
    transform = line(J=4, shape=256, Q=1) if d == 1 else plane(J=2, shape=(32, 32), L=2)
    with pytest.raises(RuntimeError):
        transform(torch.ones((1, 256) if d == 1 else (1, 32, 32), dtype=torch.complex64))


def test_a_table_of_paths_in_one_dimension_only(line, plane):
    assert hasattr(line, "meta") and not hasattr(plane, "meta")


@pytest.mark.skipif(tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 17), reason="SciPy before 1.17")
@pytest.mark.parametrize("name", ["kymatio.torch", "kymatio.numpy"])
def test_import_with_recent_scipy(name):
    with pytest.raises(ImportError, match="sph_harm"):
        import_module(name)
