"""What verifiers measure needs no value on the host: objectives on a pretended GPU, searches on `meta` too."""

import dataclasses
import math

import pytest
import torch
from fake_cuda import CUDA, on_fake_cuda

import scatter_theory as st
from scatter_theory.search import Effort
from scatter_theory.search._maximise import search
from scatter_theory.trigonometric import Polynomial
from scatter_theory.verify._alias import shifted, without_nyquist
from scatter_theory.verify._covariance import defects
from scatter_theory.verify._deformation_search import Problem
from scatter_theory.verify._energy_forms import FORMS, Decay
from scatter_theory.verify._frame import quotient_ratios
from scatter_theory.verify._lipschitz import pair_ratios
from scatter_theory.verify._network_search import distances
from scatter_theory.verify._pointwise import map_ratios, point_ratios
from scatter_theory.verify._signal_classes import rule_for
from scatter_theory.verify._translation import FORMS as BOUNDS
from scatter_theory.verify._translation import Bounder, Shift

LINE, IMAGE = st.Grid.line(16), st.Grid.of((8, 12))


def extractor(grid=LINE, sampling="dilate", pool=None, rho=None, complex_input=False):
    frame = st.frames.Wavelets(J=2, sided="auto" if not complex_input else "both")
    layer = st.Layer(frame, rho or st.Modulus(), pool or st.Subsample(2))
    return st.FeatureExtractor([layer, layer], grid, sampling=sampling, complex_input=complex_input)


NETWORKS = {
    "line": extractor(),
    "image": extractor(IMAGE),
    "decimated": extractor(sampling="decimate", pool=st.Max(2)),
    "averages, tanh": extractor(pool=st.Average(2), rho=st.Tanh()),
    "complex": extractor(complex_input=True),
}


def empty(phi, *lead, device=CUDA):
    dtype = torch.complex128 if phi.complex_input else torch.float64
    return torch.empty(*lead, *phi.grid.shape, dtype=dtype, device=device)


def moves(phi, *samples):
    d = phi.grid.ndim
    return [Shift((m,) + (0.0,) * (d - 1), (m * phi.grid.spacing[0],) + (0.0,) * (d - 1)) for m in samples]


def objectives(phi):
    """Name, shape before the signal's, number of cells and objective of every verifier of the extractor."""
    bounds = [1.0] * (phi.depth + 2)
    yield "lipschitz", (2,), len(bounds), lambda pairs: pair_ratios(phi, bounds, pairs)
    for form in BOUNDS:
        for shifts in ((4.0,), (0.5, 4.0)) if phi.sampling == "dilate" else ((4.0,),):
            bounder = Bounder(phi, moves(phi, *shifts), form)
            yield f"translation, {form}, {shifts}", (), len(bounder.cells), bounder.ratios
    for form, measure in {**FORMS, "uniform decay": Decay}.items():
        forms = measure(phi)
        yield f"energy, {form}", (), len(forms.series), forms.ratios
    yield "covariance", (), phi.depth + 1, lambda f: defects(phi, f, (4,) * phi.grid.ndim)


CASES = [
    pytest.param(phi, *case, id=f"{name}: {case[0]}") for name, phi in NETWORKS.items() for case in objectives(phi)
]


@pytest.mark.parametrize(("phi", "name", "lead", "cells", "objective"), CASES)
def test_objectives_run_on_the_device(phi, name, lead, cells, objective):
    with on_fake_cuda(phi):
        ratios = objective(empty(phi, 3, *lead))
        assert ratios.device == CUDA
        assert ratios.shape == (3, cells)
        assert ratios.dtype == torch.float64


@pytest.mark.parametrize("name", ["line", "image", "complex"])
def test_distances_of_deformed_signals_run_on_the_device(name):
    phi = NETWORKS[name]
    ball = st.signals.BandLimited(0.3, complex_valued=phi.complex_input).ball(phi.grid)
    coordinates = ball.pack(torch.zeros((1, *ball.box), dtype=torch.complex128)).shape[1]
    with on_fake_cuda(phi):
        waves = [torch.empty((math.prod(ball.box), phi.grid.size), dtype=torch.complex128, device=CUDA)] * 2
        z = torch.empty((3, coordinates), dtype=torch.float64, device=CUDA)
        ratios = distances(phi, ball, *waves, z)
        assert ratios.device == CUDA and ratios.shape == (3, 1)


@pytest.mark.parametrize("form", BOUNDS)
def test_climbing_one_cell_runs_on_the_device(form):
    phi = NETWORKS["line"]
    bounder = Bounder(phi, moves(phi, 0.5, 4.0), form)
    with on_fake_cuda(phi):
        ratios = bounder.climb(empty(phi, 3), torch.tensor([0, 3, 5], device=CUDA))
        assert ratios.device == CUDA and ratios.shape == (3,)


@pytest.mark.parametrize("name", ["line", "image"])
def test_a_search_without_ascent_reads_nothing(name):
    """Candidates are compared and remembered on the device."""
    phi = NETWORKS[name]
    bounder = Bounder(phi, moves(phi, 1.0, 4.0), "theorem")
    with on_fake_cuda(phi):
        record = search(
            bounder.ratios,
            {"given": empty(phi, 3), "structured": empty(phi, 5)},
            targets=bounder.targets,
            effort=Effort(0, 5, 0, 0),
            pairs=False,
            chunk=2,
            climb=None,
            progress=None,
        )
        assert record.best.device == CUDA
        assert record.signals.shape == (len(bounder.cells), *phi.grid.shape)


@pytest.mark.parametrize("name", ["line", "averages, tanh", "complex"])
def test_an_ascent_reads_nothing(name):
    """Backward passes too: on the device `meta` any read of a value raises."""
    phi = NETWORKS[name].rebuilt()
    bounds, bounder = [1.0] * (phi.depth + 2), Bounder(phi, moves(phi, 1.0, 4.0), "theorem")
    phi = phi.to("meta")
    common = {"effort": Effort(4, 0, 3, 2), "chunk": 3, "progress": None}
    pools = {"random": empty(phi, 4, 2, device="meta")}
    pairs = search(
        lambda x: pair_ratios(phi, bounds, x), pools, targets=[[0], [1, 2]], pairs=True, climb=None, **common
    )
    pools = {"random": empty(phi, 4, device="meta")}
    shifts = search(bounder.ratios, pools, targets=bounder.targets, pairs=False, climb=bounder.climb, **common)
    for record in (pairs, shifts):
        assert record.best.device.type == "meta"
        assert len(record.curve) == 4
        with pytest.raises((RuntimeError, NotImplementedError)):
            record.read()


def problem(phi, signals, **options):
    """The search over signals and displacements, prepared on the CPU."""
    defaults = {"family": None, "sup_tau": [0.1, 1.0], "sup_jacobian": 0.25, "sup_omega": 0.0, "search": "all"}
    rule = rule_for(signals, "theorem", phi.grid)
    common = {"warp": st.deform.Exact(), "effort": Effort(2, 4, 0, 0), "generator": torch.Generator().manual_seed(0)}
    return Problem(phi, signals, rule, **{**defaults, **options, **common})


@pytest.mark.parametrize(
    ("name", "signals", "options"),
    [
        ("line", st.signals.BandLimited(0.3), {}),
        ("image", st.signals.BandLimited(0.2), {"search": "field"}),
        ("image", st.signals.Sobolev(0.5), {"search": "signal", "family": st.deform.Translations()}),
        ("complex", st.signals.BandLimited(0.3, complex_valued=True), {"sup_omega": 0.1}),
    ],
)
def test_deformations_are_searched_on_the_device(name, signals, options):
    phi = NETWORKS[name]
    search_of = problem(phi, signals, **options)
    width = next(iter(search_of.candidates().values())).shape[1]
    with on_fake_cuda(phi):
        z = torch.empty(3, width, dtype=torch.float64, device=CUDA)
        assert search_of.ratios(z).shape == (3, len(search_of.cells))
        climbed = search_of.climb(z, torch.tensor([0, 3, 5], device=CUDA))
        assert climbed.device == CUDA and climbed.shape == (3,)


@pytest.mark.parametrize("grid", [LINE, IMAGE])
def test_deformations_are_applied_on_the_device(grid):
    """The exact sum, with one field for each signal, real and complex, and a phase."""
    phi, family = extractor(grid), st.deform.BandLimitedFields(degree=2)
    with on_fake_cuda(phi):
        z = torch.empty(3, family.parameters(grid), dtype=torch.float64, device=CUDA)
        tau = family.member(z, grid)
        omega = Polynomial(torch.empty(3, *(3,) * grid.ndim, dtype=torch.complex128, device=CUDA), grid.extent)
        for dtype in (torch.float64, torch.complex128):
            f = torch.empty(3, *grid.shape, dtype=dtype, device=CUDA)
            moved = st.deform.apply(f, grid, tau)
            assert moved.device == CUDA and moved.shape == f.shape and moved.dtype == dtype
        assert st.deform.apply(f.real, grid, st.deform.Deformation(tau, omega)).is_complex()


def test_modules_and_banks_measure_on_the_device():
    bank = st.frames.Wavelets(J=2).on(LINE)
    phi = NETWORKS["line"]
    with on_fake_cuda(phi):
        spectra = torch.empty(bank.spectra.shape, dtype=torch.float64, device=CUDA)
        output = torch.empty(bank.output.shape, dtype=torch.float64, device=CUDA)
        moved = dataclasses.replace(bank, spectra=spectra, output=output)
        assert quotient_ratios(moved, 1.0, 1.0, empty(phi, 3)).device == CUDA
        points = torch.empty(3, 2, 2, dtype=torch.float64, device=CUDA)
        for rho in (st.Modulus(), st.GELU(), st.PhaseReLU()):
            assert point_ratios(rho, 1.0, points).device == CUDA
        for pool in (st.Average(2), st.Max(2), st.Subsample(2)):
            assert map_ratios(pool, LINE, "decimate", 1.0, empty(phi, 3, 2)).device == CUDA
        f = without_nyquist(LINE, empty(phi, 3))
        assert shifted(LINE, f, (0.3,)).device == CUDA
