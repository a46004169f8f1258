"""What must not matter: the size of the chunks, the split of the batch, the number of threads. What is predicted."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine.common import GRIDS, draw, network

import scatter_theory as st
from scatter_theory.compiled import without_kernels
from scatter_theory.engine import _buffers

NETWORKS = {
    "line": lambda **o: network(
        [st.Layer(st.frames.Wavelets(J=4), st.Modulus(), st.Subsample(2))] * 2, GRIDS[1], 99, **o
    ),
    "line, averages": lambda **o: network(
        [st.Layer(st.frames.Wavelets(J=3), st.Modulus(), st.Average(2))] * 2, GRIDS[1], 99, **o
    ),
    "line, complex maps": lambda **o: network([st.Layer(st.frames.Wavelets(J=3), st.Tanh())] * 2, GRIDS[1], 99, **o),
    "line, maxima": lambda **o: network(
        [st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Max(2))] * 2, GRIDS[1], 99, sampling="decimate", **o
    ),
    "plane": lambda **o: network(
        [st.Layer(st.frames.Morlet(J=2, L=4), st.Modulus(), st.Subsample(2))] * 2, GRIDS[2], 99, **o
    ),
    "space": lambda **o: network([st.Layer(st.frames.TensorWavelets(J=1), st.Modulus())] * 2, GRIDS[3], 99, **o),
}


def fast(name, **options):
    return NETWORKS[name]().rebuilt(engine="fast", dtype=torch.float64, **options)


def all_of(features):
    return [layer.values for layer in features] + [*features.remainder, features.pruned]


def same(one, other, tolerance=1e-14):
    for a, b in zip(all_of(one), all_of(other), strict=True):
        assert a.shape == b.shape
        assert a.numel() == 0 or float((a - b).detach().abs().max()) <= tolerance * max(
            float(b.detach().abs().max()), 1e-300
        )


# --- chunks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chunk_bytes", "kernels"), [(1, True), (10_001, True), (10_001, False), (2**40, True)])
@pytest.mark.parametrize("name", NETWORKS)
def test_results_do_not_depend_on_the_chunks(name, chunk_bytes, kernels):
    phi = fast(name)
    f = draw((11, *phi.grid.shape), 1)
    expected = phi(f)
    phi._plan = replace(phi._plan, chunk_bytes=chunk_bytes)
    if kernels:
        same(phi(f), expected)
    else:
        with without_kernels():
            same(phi(f), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_do_not_depend_on_the_chunks(name):
    phi = fast(name)
    f = draw((11, *phi.grid.shape), 2).requires_grad_()
    gradients = []
    for chunk_bytes in (None, 1, 10_001):
        phi._plan = replace(phi._plan, chunk_bytes=chunk_bytes)
        gradients.append(torch.autograd.grad(phi(f).flatten().abs().square().sum(), f)[0])
    for gradient in gradients[1:]:
        assert torch.allclose(gradient, gradients[0], rtol=0, atol=1e-13 * float(gradients[0].abs().max()))


@pytest.mark.parametrize("sizes", [(1,) * 20, (7, 1, 12), (0, 19, 1)], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_results_do_not_depend_on_the_split_of_the_batch(name, sizes):
    phi = fast(name)
    f = draw((20, *phi.grid.shape), 3)
    parts = [all_of(phi(part)) for part in f.split(sizes)]
    for whole, *pieces in zip(all_of(phi(f)), *parts, strict=True):
        joined = torch.cat(pieces)
        assert joined.shape == whole.shape
        assert float((joined - whole).abs().max()) <= 1e-14 * max(float(whole.abs().max()), 1e-300)


@pytest.mark.parametrize("name", ["line", "line, averages", "line, complex maps", "plane"])
def test_results_do_not_depend_on_the_threads(name):
    phi = fast(name)
    f = draw((9, *phi.grid.shape), 4).requires_grad_()
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            features = phi(f)
            results.append((features, torch.autograd.grad(features.flatten().abs().square().sum(), f)[0]))
    finally:
        torch.set_num_threads(before)
    for features, gradient in results[1:]:
        same(features, results[0][0])
        assert torch.allclose(gradient, results[0][1], rtol=0, atol=1e-13 * float(gradient.abs().max()))


def test_a_second_pass_gives_the_same_numbers():
    phi = fast("line")
    f = draw((9, *phi.grid.shape), 5)
    first = [x.clone() for x in all_of(phi(f))]
    phi(draw((30, *phi.grid.shape), 6))
    assert all(torch.equal(a, b) for a, b in zip(first, all_of(phi(f)), strict=True))


# --- predictions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", NETWORKS)
def test_paths_coefficients_and_bytes_of_the_features_are_exact(name, dtype):
    phi = NETWORKS[name]().rebuilt(engine="fast", dtype=dtype)
    plan, features = phi.plan(5), phi(draw((5, *phi.grid.shape), 7, dtype))
    assert plan.paths == tuple(len(layer.paths) for layer in features)
    assert plan.coefficients == features.flatten().shape[-1]
    assert plan.feature_bytes == sum(layer.values.nbytes for layer in features)
    assert plan.grids == tuple(len(layer) for layer in phi._plan.groups)
    assert all(len(group) == len(set(group.rows.tolist())) for layer in phi._plan.groups for group in layer)
    made = [sorted(row for group in layer for row in group.rows.tolist()) for layer in phi._plan.groups]
    assert made == [list(range(paths)) for paths in plan.paths], "every path is made once"
    parents = sum(len(g) for layer in phi._plan.groups for g in layer if g.edges)
    assert plan.transforms == sum(plan.paths[1:]) + parents
    assert str(plan.coefficients) in str(plan)


def test_costs_by_hand():
    """One layer of three atoms on eight samples, every grid full: counts that can be written down."""
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=1))], st.Grid.line(16), engine="fast", oversampling=1000.0)
    plan = phi.plan(3)
    assert plan.paths == (1, 1) and plan.grids == (1, 1) and plan.transforms == 2
    support = int((phi.banks[0].spectra.abs() > 1e-7 * phi.banks[0].spectra.abs().max()).sum())
    transform = 5 * 16 * math.log2(16)
    assert plan.operations >= 2 * transform + 4 * support + 4 * 16
    assert plan.operations <= 2 * transform + 4 * support + 4 * 16 + 2 * (2 * 16 * 16 + transform)
    assert plan.batch == 3 and plan.feature_bytes == 3 * 4 * plan.coefficients


def test_a_larger_oversampling_costs_more():
    phi = NETWORKS["line"]()
    plans = [phi.rebuilt(engine="fast", oversampling=o).plan() for o in (1.0, 2.0, 4.0, 1000.0)]
    assert [p.operations for p in plans] == sorted(p.operations for p in plans) and plans[0].operations < plans[
        3
    ].operations
    assert len({p.coefficients for p in plans}) == 1


def test_what_does_not_fit_is_refused_before_it_runs():
    phi = NETWORKS["line"]()
    needed = phi.rebuilt(engine="fast").plan().feature_bytes
    assert phi.rebuilt(engine="fast", max_bytes=needed).plan().feature_bytes == needed
    with pytest.raises(ValueError, match="above max_bytes"):
        phi.rebuilt(engine="fast", max_bytes=needed - 1)


PASS = """
import sys, torch
import scatter_theory as st
torch.set_num_threads(1)
d, batch = int(sys.argv[1]), int(sys.argv[2])
if d == 1:
    frame, grid = st.frames.Wavelets(J=6, Q=4), st.Grid.line(2**15)
else:
    frame, grid = st.frames.Morlet(J=3, L=6), st.Grid.square(96)
phi = st.FeatureExtractor([st.Layer(frame)] * 2, grid, paths=st.FrequencyDecreasing(), engine="fast", max_bytes=2**40)
phi(torch.zeros(8, *grid.shape))
f = torch.randn(batch, *grid.shape)

def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))

with open("/proc/self/clear_refs", "w") as file:
    file.write("5")
before = memory("VmRSS")
features = phi(f)
plan = phi.plan(batch)
print(memory("VmHWM") - before, plan.working_bytes, plan.feature_bytes, plan.plan_bytes)
"""


@pytest.mark.parametrize(
    ("d", "batch"), [(2, 64), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(1, 64), (1, 200), (2, 200)])]
)
def test_peak_memory_is_what_was_predicted(d, batch):
    """In a process of its own: the largest resident set during a pass, above that before it."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the system does not tell the peak memory of a process")
    arguments = [sys.executable, "-W", "ignore", "-c", PASS, str(d), str(batch)]
    result = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    peak, working, features, plan = map(int, result.stdout.split())
    assert features + working > 32 * 2**20, "too small to be measured"
    assert 0.3 * (working + features) <= peak <= 1.5 * (working + features + plan)


@pytest.mark.parametrize("name", NETWORKS)
def test_passes_at_the_same_time_do_not_share_room(name):
    """Two streams advanced in turns, and one that is given up half way, give what whole passes give."""
    phi = fast(name)
    x = [draw((2, *phi.grid.shape), seed=k) for k in range(3)]
    given_up = phi.stream(x[2])
    next(given_up)
    parts = list(zip(phi.stream(x[0]), phi.stream(x[1]), strict=True))
    del given_up
    for k in range(2):
        expected = phi(x[k])
        for pair in parts:
            part = pair[k]
            assert torch.equal(part.values, expected.layers[part.n].values[part.signals][:, part.rows])


def test_room_made_in_inference_mode_serves_afterwards():
    phi, x = fast("line"), draw((2, *GRIDS[1].shape))
    _buffers._kept.clear()
    with torch.inference_mode():
        expected = [v.clone() for v in all_of(phi(x))]
    assert all(torch.equal(a, b) for a, b in zip(expected, all_of(phi(x)), strict=True))
