"""The memory budget: smaller chunks with the same results, a refusal with numbers, features in parts."""

import re

import pytest
import torch
from engine.common import GRIDS, draw, network

import scatter_theory as st
from scatter_theory.engine import _memory, predict
from scatter_theory.engine._prediction import feature_bytes, gradient_bytes, working_bytes

PLANE = [st.Layer(st.frames.Morlet(J=2, L=4), st.Modulus(), st.Subsample(2))] * 2
LINE = [st.Layer(st.frames.Wavelets(J=3), st.Tanh(), st.NoPooling())] * 2


def make(layers, **options):
    return network(layers, GRIDS[2 if layers is PLANE else 1], 99, **options)


def joined(phi, f, memory=None):
    """The features of `forward`, put together from the parts; every value must come once."""
    features = phi(f)
    phi = phi.rebuilt(memory=memory)
    found = [torch.full_like(layer.values.flatten(0, f.ndim - phi.grid.ndim - 1), torch.nan) for layer in features]
    for part in phi.stream(f):
        target = found[part.n][part.signals]
        rows = torch.from_numpy(part.rows)
        assert torch.isnan(target[:, rows].real).all()
        assert part.paths == tuple(features.layers[part.n].paths[i] for i in part.rows)
        assert part.grid == features.layers[part.n].grid
        target[:, rows] = part.values.to(target.dtype)
    return found, features


@pytest.mark.parametrize("engine", ["exact", "fast"])
@pytest.mark.parametrize("layers", [PLANE, LINE], ids=["plane", "line"])
@pytest.mark.parametrize("memory", [None, 2**20])
def test_the_parts_of_a_stream_are_the_features(layers, engine, memory):
    phi = make(layers).rebuilt(engine=engine, dtype=torch.float64, memory=None)
    f = draw((3, 4, *phi.grid.shape), 1)
    found, features = joined(phi, f, memory)
    for one, layer in zip(found, features, strict=True):
        assert torch.allclose(one, layer.values.flatten(0, 1), rtol=0, atol=1e-13)


def test_a_stream_of_paths_chosen_by_energy():
    phi = make(LINE).rebuilt(paths=st.EnergyThreshold(1e-2))
    found, features = joined(phi, draw((5, *phi.grid.shape), 2))
    assert 0 < len(features.layers[2].paths) < len(phi.banks[0]) ** 2
    assert all(not torch.isnan(values.real).any() for values in found)


@pytest.mark.parametrize("layers", [PLANE, LINE], ids=["plane", "line"])
def test_a_smaller_budget_gives_the_same_features(layers):
    phi = make(layers).rebuilt(engine="fast", dtype=torch.float64)
    f = draw((40, *phi.grid.shape), 3)
    plan = phi._plan
    need = feature_bytes(plan, 40) + working_bytes(plan, 40)
    least = next(b for b in range(need // 20, need, need // 20) if fits(phi, 40, b))
    assert least < 0.8 * need
    small = phi.rebuilt(memory=least)
    used = _memory.fitted("x", small._plan, 40, small.device, least)
    assert used.chunk_bytes is not None and used.chunk_bytes < plan.chunk_size(40)
    assert feature_bytes(used, 40) + working_bytes(used, 40) <= least
    for one, other in zip(small(f), phi(f), strict=True):
        assert torch.allclose(one.values, other.values, rtol=0, atol=1e-13)


def fits(phi, batch, memory):
    try:
        _memory.fitted("x", phi._plan, batch, phi.device, memory)
    except MemoryError:
        return False
    return True


def test_a_budget_that_is_too_small_is_refused_with_its_numbers():
    phi = make(PLANE).rebuilt(engine="fast", memory=20_000)
    f = draw((8, *phi.grid.shape), 4).float()
    with pytest.raises(MemoryError, match=r"a batch of 8 has .* of features .* budget of 19\.5 KiB .*`memory=`"):
        phi(f)
    exact = make(PLANE, memory=20_000)
    with pytest.raises(MemoryError, match=re.escape("19.5 KiB (the stated `memory=`)")):
        exact(f.double())
    streamed = sum(part.values.numel() for part in exact.stream(f.double()))
    assert streamed == sum(layer.values.numel() for layer in make(PLANE)(f.double()))


def test_the_default_is_half_of_what_is_free(monkeypatch):
    phi = make(PLANE).rebuilt(engine="fast")
    f = draw((8, *phi.grid.shape), 5).float()
    need = predict(phi._plan, 8).feature_bytes
    monkeypatch.setattr(_memory, "SMALL", 0)
    monkeypatch.setattr(_memory, "free_bytes", lambda device: 2 * need)
    with pytest.raises(MemoryError, match="half of what is free"):
        phi(f)
    monkeypatch.setattr(_memory, "free_bytes", lambda device: None)
    phi(f)


def test_what_is_free_is_a_plausible_number():
    free = _memory.free_bytes(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50
    assert _memory.free_bytes(torch.device("meta")) is None


@pytest.mark.parametrize("layers", [PLANE, LINE], ids=["plane", "line"])
def test_gradients_within_a_budget_are_made_anew(layers):
    phi = make(layers).rebuilt(engine="fast", dtype=torch.float64)
    plan, batch = phi._plan, 24
    memory = feature_bytes(plan, batch) + 7 * gradient_bytes(plan, 1)
    small = phi.rebuilt(memory=memory)
    assert 3 <= _memory.signals_with_gradient("x", small._plan, batch, phi.device, memory) < batch
    f = draw((batch, *phi.grid.shape), 6).requires_grad_()
    one, other = (torch.autograd.grad(p(f).flatten().abs().square().sum(), f)[0] for p in (phi, small))
    assert torch.allclose(one, other, rtol=0, atol=1e-12 * float(one.abs().max()))
    with pytest.raises(MemoryError, match="features"):
        phi.rebuilt(memory=feature_bytes(plan, batch) + gradient_bytes(plan, 1) // 2)(f)


@pytest.mark.parametrize(
    ("memory", "error", "text"),
    [(0, ValueError, "at least 1 byte"), (2.5, TypeError, "whole number"), (True, TypeError, "got True")],
)
def test_bad_budgets_are_refused(memory, error, text):
    with pytest.raises(error, match=rf"`FeatureExtractor\(memory=\.\.\.\)`.*{text}"):
        make(LINE, memory=memory)
