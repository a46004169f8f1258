"""Learned frames: the atoms against their formulas, bounds for all weights and grids, gradients, refusals."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call

import scatter_theory as st
from scatter_theory import Grid
from scatter_theory.frames import Filters, FrameBounds, Learned
from scatter_theory.frames._learned import FORMS
from scatter_theory.frames._learned_fir import RHO
from scatter_theory.frames._learned_radial import CUTS, ROLL_OFFS
from scatter_theory.frames._learned_softmax import WIDTHS
from scatter_theory.frames._taps import taps_of

TOLERANCE = 1e-12
GRIDS = {1: Grid.line(24), 2: Grid.of((9, 8)), 3: Grid.of((5, 4, 6))}
TAPS = ("complement", "paraunitary")
DIVIDED = ("canonical", "range")


def learned(form, d=1, **options):
    return Learned(**({"n_filters": 3, "support": 3, "d": d, "parametrisation": form, "seed": 1} | options))


def shaken(frame, size=1.0, seed=5):
    """The frame with other weights: noise of the given size."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in frame.module.parameters():
            weight.copy_(size * torch.randn(weight.shape, dtype=torch.float64, generator=generator))
    return frame


def within(frame, grid, **options):
    """Largest excess of the exact bounds on a grid over the guarantee; negative inside."""
    A, B = frame.on(grid, **options).bounds()
    low, high = frame.bounds()
    return max(low - A, B - high)


def weights_of(frame):
    return {name: weight.detach().numpy() for name, weight in frame.module.named_parameters()}


def frequencies(grid):
    """Cycles per sample, ``(d, *shape)``."""
    return np.stack(np.meshgrid(*[np.fft.fftfreq(n) for n in grid.shape], indexing="ij"))


def transformed(taps, xi):
    """Sums over the taps, at any frequencies."""
    index = np.stack(np.meshgrid(*[np.arange(k) for k in taps.shape[1:]], indexing="ij")).reshape(len(xi), -1)
    phase = np.exp(-2j * np.pi * np.tensordot(xi, index, axes=(0, 0)))
    return np.tensordot(taps.reshape(len(taps), -1), phase, axes=(1, -1))


def divided(frame, xi):
    spectra = transformed(weights_of(frame)["kernels"], xi)
    s = (np.abs(spectra) ** 2).sum(0)
    level = frame.B if frame.parametrisation == "canonical" else frame.A + (frame.B - frame.A) * s / (1 + s)
    return spectra * np.sqrt(level / s)


def complemented(frame, xi):
    taps = weights_of(frame)["kernels"]
    size = math.sqrt(sum(np.abs(w).sum() ** 2 for w in taps))
    spectra = transformed(taps * RHO / math.hypot(RHO, size), xi)
    rest = np.sqrt(1 - (np.abs(spectra) ** 2).sum(0))
    return math.sqrt(frame.B) * np.concatenate([spectra, rest[None]])


def paraunitary(frame, xi):
    """Products of matrices, frequency by frequency."""
    weights, m = weights_of(frame), frame.n_filters + 1
    out = np.empty((m, *xi.shape[1:]), complex)
    for place in np.ndindex(*xi.shape[1:]):
        h = weights["mean"] / np.linalg.norm(weights["mean"])
        for i, v in enumerate(weights["delayed"]):
            P = np.outer(v, v) / (v @ v)
            h = (np.eye(m) - P + P * np.exp(-2j * np.pi * xi[(i % frame.d, *place)])) @ h
        out[(slice(None), *place)] = math.sqrt(frame.B) * h
    return out


def softmax(frame, xi):
    """Output atom, then pairs, from exponentials; a squared chord is ``(1 - cos) / 2``."""
    weights = weights_of(frame)
    s = squash(weights["widths"], WIDTHS)

    def bump(c, width):
        squares = (1 - np.cos(2 * np.pi * (xi.T - c))) / (2 * np.pi**2)
        return np.exp(-0.5 * (squares / width**2).sum(-1)).T

    powers = [bump(0.0, s[0])]
    powers += [bump(sign * c, width) for c, width in zip(weights["centres"], s[1:], strict=True) for sign in (1, -1)]
    return np.sqrt(frame.B * np.stack(powers) / sum(powers))


def morlet(frame, xi):
    """Quadratic forms in the two-valued square root ``sin(pi x)``, with signs that make the mixed terms periodic."""
    weights, d = weights_of(frame), frame.d
    s = squash(weights["widths"], WIDTHS)
    mean = (np.sin(np.pi * xi) ** 2).sum(0)

    def bump(c, width):
        n = c / np.linalg.norm(c)
        form = np.eye(d) / width[-1] ** 2 + np.outer(n, n) * (width[0] ** -2 - width[-1] ** -2)
        gap = np.pi * (xi.T - c)
        plain, mixed = np.sin(gap) / np.pi, np.sin(2 * gap) / (2 * np.pi)
        q = np.einsum("...i,ij,...j->...", mixed, form, mixed)
        q += ((plain**2 - mixed**2) * np.diag(form)).sum(-1)
        return mean * np.exp(-0.5 * q).T

    powers = [np.exp(-0.5 * mean / (np.pi * squash(weights["low"], WIDTHS)) ** 2)]
    # The mirror image of a wavelet is the one with the opposite centre.
    powers += [bump(sign * c, width) for c, width in zip(weights["centres"], s, strict=True) for sign in (1, -1)]
    return np.sqrt(frame.B * np.stack(powers) / sum(powers))


def radial(frame, xi):
    """Powers between cuts, by subtraction: what a cut leaves to the coarser ones is cos^2 of it."""
    weights = weights_of(frame)
    cuts, widths = squash(weights["cuts"], CUTS), squash(weights["roll_offs"], ROLL_OFFS)
    left, powers = np.ones(xi.shape[1:]), []
    with np.errstate(divide="ignore"):
        octaves = 0.5 * np.log2((xi**2).sum(0))
    for c, w in zip(cuts, widths, strict=True):
        t = np.clip(0.5 + (octaves - np.log2(c)) / w, 0, 1)
        kept = np.cos(np.pi / 2 * t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3)) ** 2
        powers.append(left - left * kept)
        left = left * kept
    return np.sqrt(frame.B * np.clip([left, *powers], 0, None))


def squash(weights, ends):
    return ends[0] * (ends[1] / ends[0]) ** (1 / (1 + np.exp(-weights)))


FORMULAS = {
    "morlet": morlet,
    "radial": radial,
    "canonical": divided,
    "range": divided,
    "softmax": softmax,
    "complement": complemented,
    "paraunitary": paraunitary,
}


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("form", FORMS)
def test_atoms_are_their_formulas(form, d):
    frame = shaken(learned(form, d, A=0.3, B=1.7), 0.7)
    bank = frame.on(GRIDS[d])
    found = torch.cat([bank.output[None].to(torch.complex128), bank.spectra.to(torch.complex128)]).detach().numpy()
    expected = FORMULAS[form](frame, frequencies(GRIDS[d]))
    # A root of a difference that vanishes has half of the digits.
    assert np.abs(found - expected).max() <= (1e-7 if form == "radial" else 1e-13)
    assert np.abs(np.abs(found) ** 2 - np.abs(expected) ** 2).max() <= 1e-13
    assert bank.description == repr(frame) and torch.equal(bank.output, bank.grid.mirror(bank.output).conj())


@pytest.mark.parametrize("form", FORMS)
def test_bounds_are_singular_values(form):
    """Squares of the extreme singular values of the dense analysis operator."""
    frame, grid = shaken(learned(form, 2, A=0.4, B=1.3)), Grid.of((4, 5))
    bank = frame.on(grid)
    unit = torch.eye(grid.size, dtype=torch.float64).reshape(-1, *grid.shape)
    matrix = bank.analyse(unit).detach().reshape(grid.size, -1)
    values = torch.linalg.svdvals(matrix) ** 2
    assert float(values.min()) >= frame.bounds().A.value - TOLERANCE
    assert float(values.max()) <= frame.bounds().B.value + TOLERANCE
    A, B = bank.bounds()
    assert (A, B) == (pytest.approx(float(values.min()), abs=1e-12), pytest.approx(float(values.max()), abs=1e-12))
    assert frame.module.tight == (form != "range") and frame.module.tight == bank.bounds().tight


@pytest.mark.parametrize("form", FORMS)
def test_the_guarantee_holds_on_every_grid_for_all_weights(form):
    for d, seed in itertools.product((1, 2, 3), range(4)):
        frame = shaken(learned(form, d, B=1.0), seed=seed)
        shapes = {1: [(2,), (3,), (64,), (97,)], 2: [(3, 7), (16, 5), (33, 32)], 3: [(3, 4, 5), (7, 8, 6)]}[d]
        for shape in shapes:
            grid = Grid.of(shape, sample_rate=3.0)
            for sided in ("both", "half", "real"):
                assert within(frame, grid.dilate(1.7), reference=grid, sided=sided) <= TOLERANCE
        assert "every grid" in str(frame.guarantee) and tuple(frame.bounds()) == (frame.guarantee.A, frame.guarantee.B)


def test_half_and_real_banks_of_softmax_share_the_power_of_the_pairs():
    grid = GRIDS[2]
    both, half, real = (shaken(learned("softmax", 2)).on(grid, sided=s) for s in ("both", "half", "real"))
    assert [len(b) for b in (both, half, real)] == [6, 3, 3] and [b.kind for b in (both, half, real)] == [
        "full", "half", "real"
    ]  # fmt: skip
    pairs = both.spectra.square().reshape(3, 2, *grid.shape).sum(1)
    assert torch.allclose(real.spectra.square(), pairs, atol=1e-14)
    even = 0.5 * (half.spectra.square() + grid.mirror(half.spectra.square()))
    assert torch.allclose(even, pairs, atol=1e-14)
    assert {a.weight for a in half.atoms} == {math.sqrt(2)} and {a.weight for a in both.atoms} == {1.0}


@pytest.mark.parametrize("form", ["softmax", "morlet"])
def test_pairs_are_what_the_user_says(form):
    """Before ReLU the choice of the network is the full bank, and with two layers four times the paths."""
    x = torch.randn(2, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def network(*sided):
        layers = [st.Layer(learned(form, sided=s, seed=k), st.ReLU()) for k, s in enumerate(sided)]
        return st.FeatureExtractor(layers, GRIDS[1])

    counts = {s: [len(layer.paths) for layer in network(s, s)(x)] for s in ("auto", "both", "real")}
    assert counts == {"auto": [1, 6, 36], "both": [1, 6, 36], "real": [1, 3, 9]}
    for s, kind in (("both", "full"), ("half", "half"), ("real", "real")):
        phi = network(s)
        assert phi.banks[0].kind == kind and torch.equal(
            phi.banks[0].spectra, learned(form, seed=0).on(GRIDS[1], sided=s).spectra
        )
        A, B = phi.banks[0].bounds()
        assert A == pytest.approx(1.0, abs=TOLERANCE) and B == pytest.approx(1.0, abs=TOLERANCE)
        assert f"sided={s!r}" in repr(phi.layers[0].frame)
    assert all(not layer.values.is_complex() for layer in network("real", "real")(x))
    with pytest.raises(ValueError, match="is a half bank, but the maps that enter this layer are complex"):
        network("half", "half")


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("softmax", "morlet")])
def test_real_atoms_have_no_pairs_to_choose(form):
    assert learned(form).sided == learned(form, sided="real").sided == "real" and "sided" not in repr(learned(form))
    for sided in ("half", "both"):
        with pytest.raises(
            ValueError, match=rf"got '{sided}', expected 'auto' or 'real': the atoms of param.*'{form}'"
        ):
            learned(form, sided=sided)
    with pytest.raises(ValueError, match=r"`Learned\(sided=...\)`: got 'left', expected one of"):
        learned(form, sided="left")


@pytest.mark.parametrize("form", FORMS)
def test_support(form):
    """Impulse responses: the same taps on all grids for some, the whole grid for the others."""
    frame = shaken(learned(form, 2))
    responses = []
    for shape in ((8, 9), (15, 12)):
        bank = frame.on(Grid.of(shape), sided="real")
        x = bank.grid.ifft(torch.cat([bank.output[None], bank.spectra]).to(torch.complex128)).real.detach()[:4]
        outside = torch.ones(shape, dtype=torch.bool)
        outside[:3, :3] = False
        assert (float(x[:, outside].abs().max()) <= 1e-15) == (form in TAPS)
        responses.append(x[:, :3, :3])
    assert torch.allclose(*responses, atol=1e-15) == (form in TAPS)


@pytest.mark.parametrize("size", [1e-200, 1e-150, 1e-6, 1e6, 1e150])
@pytest.mark.parametrize("form", FORMS)
def test_extreme_weights(form, size):
    for d in (1, 2):
        frame = shaken(learned(form, d), size)
        assert within(frame, GRIDS[d]) <= TOLERANCE
        bank = frame.on(GRIDS[d])
        (bank.spectra.abs().sum() + bank.output.abs().sum()).backward()
        for weight in frame.module.parameters():
            assert torch.isfinite(weight.grad).all()
    mixed = shaken(learned(form))
    with torch.no_grad():
        next(mixed.module.parameters())[0] *= 1e6
        next(mixed.module.parameters())[1] *= 1e-6
    assert within(mixed, GRIDS[1]) <= TOLERANCE


def test_zero_weights():
    """Where the quotient is undefined the frame refuses; the others are frames for zero too, with finite gradients."""
    for form in DIVIDED:
        with pytest.raises(ValueError, match=r"all kernels vanish at the frequency .*complement"):
            shaken(learned(form), 0.0).on(GRIDS[1])
        frame = learned(form)
        with torch.no_grad():
            frame.module.kernels.copy_(torch.tensor([1.0, 1.0, 0.0]).expand(4, 3))
        with pytest.raises(ValueError, match=r"frequency \(-0.5,\) cycles/sample"):
            frame.on(Grid.line(8))
        assert within(frame, Grid.line(9)) <= TOLERANCE, "no frequency of this grid is a zero of the kernels"
        with torch.no_grad():
            frame.module.kernels[1] = 0.0
        assert within(frame, Grid.line(9)) <= TOLERANCE, "one filter may vanish"
    with pytest.raises(ValueError, match="a row of `delayed` is zero"):
        frame = learned("paraunitary")
        with torch.no_grad():
            frame.module.delayed[1] = 0.0
        frame.on(GRIDS[1])
    with pytest.raises(ValueError, match="the vector `mean` is zero"):
        shaken(learned("paraunitary"), 0.0).module.taps()
    with pytest.raises(ValueError, match="a row of `centres` is zero"):
        shaken(learned("morlet"), 0.0).on(GRIDS[1])
    for form in ("softmax", "complement", "radial"):
        frame = shaken(learned(form), 0.0)
        assert within(frame, GRIDS[1]) <= TOLERANCE
        frame.on(GRIDS[1]).spectra.abs().sum().backward()
        assert all(torch.isfinite(w.grad).all() for w in frame.module.parameters())
    assert torch.equal(shaken(learned("complement"), 0.0).on(GRIDS[1])[-1].real, torch.ones(24, dtype=torch.float64))


def test_no_gradient_is_nan_where_atoms_vanish():
    """Bumps far below the smallest number, cuts in the wrong order, kernels that vanish beside a complement."""
    frame = learned("softmax")
    with torch.no_grad():
        frame.module.widths.fill_(-40.0)
    bank = frame.on(Grid.line(64), sided="both")
    assert (bank.spectra == 0).any() and within(frame, Grid.line(64)) <= TOLERANCE
    bank.analyse(torch.ones(64, dtype=torch.float64)).abs().square().sum().backward()
    assert all(torch.isfinite(w.grad).all() for w in frame.module.parameters())
    frame = learned("radial")
    with torch.no_grad():
        frame.module.cuts.copy_(torch.tensor([-9.0, 9.0, 0.0]))
    frame.on(Grid.line(64)).spectra.sum().backward()
    assert all(torch.isfinite(w.grad).all() for w in frame.module.parameters())
    frame = learned("complement")
    with torch.no_grad():
        frame.module.kernels.copy_(torch.tensor([1.0, 1.0, 0.0]).expand(4, 3))
    frame.on(Grid.line(8)).spectra.abs().square().sum().backward()
    assert torch.isfinite(frame.module.kernels.grad).all()


def test_complement_of_other_learned_filters_has_finite_gradients():
    """`Bank.complemented` has a root that vanishes where the sum is largest."""
    taps = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    bank = Filters(taps, torch.ones(3, dtype=torch.float64)).on(Grid.line(7)).complemented()
    bank.spectra.abs().square().sum().backward()
    assert bank.bounds().tight and torch.isfinite(taps.grad).all() and taps.grad.any()


class On(nn.Module):
    """Atoms of a frame as a function of its weights."""

    def __init__(self, frame, grid, sided):
        super().__init__()
        self.frame, self.grid, self.sided = frame, grid, sided
        self.inner = nn.ModuleList(frame.modules())

    def forward(self):
        bank = self.frame.on(self.grid, sided=self.sided)
        return bank.spectra, bank.output


def check_gradient(frame, grid, sided="both"):
    on = On(frame, grid, sided)
    names = [name for name, _ in on.named_parameters()]
    values = tuple(w.detach().clone().requires_grad_() for w in on.parameters())
    return gradcheck(lambda *w: functional_call(on, dict(zip(names, w, strict=True)), ()), values)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("form", FORMS)
def test_gradients(form, d):
    grid = {1: Grid.line(6), 2: Grid.of((3, 4))}[d]
    for sided in ("both", "half", "real") if learned(form).sided == "auto" else ("both",):
        assert check_gradient(shaken(learned(form, d, n_filters=2), 0.8), grid, sided)


def test_gradients_through_frames_made_from_learned_ones():
    frame, grid = shaken(learned("range", n_filters=2), 0.8), Grid.line(6)
    made = [frame.scaled(0.5), frame.tightened(), frame + frame, frame + learned("softmax", n_filters=1)]
    made += [frame.normalised(st.ReLU(), st.Average(2)), st.frames.Wavelets(J=1, sided="real") + frame]
    for other in made:
        assert check_gradient(other, grid, "real")
    assert [len(other.modules()) for other in made] == [1, 1, 1, 2, 1, 1]
    assert st.frames.Wavelets(J=1).modules() == () and Filters.example(1).modules() == ()


def test_gradient_is_not_vacuous():
    """The check rejects a frame that drops a part of its gradient."""

    class Detached(On):
        def forward(self):
            bank = self.frame.on(self.grid)
            return bank.spectra / bank.spectra.detach().abs().amax(), bank.output

    on = Detached(shaken(learned("canonical", n_filters=1)), Grid.line(4), "both")
    kernels = on.inner[0].kernels.detach().clone().requires_grad_()
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradcheck(lambda w: functional_call(on, {"inner.0.kernels": w}, ()), (kernels,))


def test_only_the_output_atom_sees_the_mean():
    """Before training, and of wavelets and bands for all weights."""
    frames = [learned(form, d, n_filters=4) for form in FORMS if form != "softmax" for d in (1, 2, 3)]
    frames += [shaken(learned(form, d, n_filters=4)) for form in ("morlet", "radial") for d in (1, 2, 3)]
    for frame in frames:
        bank, d = frame.on(GRIDS[frame.d], sided="real"), frame.d
        spectra, output = bank.spectra.detach().abs(), bank.output.detach().abs()
        origin = (0,) * d
        assert float(spectra[(slice(0, 4), *origin)].max()) <= 1e-15 and float(output[origin]) >= 0.6


@pytest.mark.parametrize("form", FORMS)
def test_decay_constant(form):
    for d in (1, 2):
        frame = shaken(learned(form, d, B=2.0))
        K = frame.decay_constant(d)
        assert K.proves and (K.kind == "certified") == (form in TAPS)
        assert all(frame.on(Grid.of((n,) * d)).decay_constant().value <= K.value for n in (8, 9, 31))


def test_a_verifier_accepts_rejects_and_abstains():
    effort = st.verify.Effort(random=2, structured=6, steps=2)
    frame, grid = shaken(learned("softmax")), Grid.line(16)
    check = st.verify.frame(frame, grid, effort=effort, generator=0)
    assert check.outcome is st.Outcome.HOLDS and {w.grad for w in frame.module.parameters()} == {None}
    tight = FrameBounds(st.Constant(0.9, "wrong", "analytic"), st.Constant(0.95, "wrong", "analytic"))
    assert st.verify.frame(frame, grid, declared=tight, effort=effort, generator=0).outcome is st.Outcome.VIOLATED
    half = st.verify.frame(frame.on(grid, sided="half"), real=False, effort=effort, generator=0)
    assert half.outcome is st.Outcome.INAPPLICABLE


def test_values():
    frame = learned("range", 2, A=0.25, B=0.75)
    assert repr(frame) == ("Learned(n_filters=3, support=3, d=2, parametrisation='range', A=0.25, B=0.75, seed=1)")
    twin = eval(repr(frame))
    assert twin != frame and torch.equal(twin.module.kernels, frame.module.kernels), "the seed gives the weights"
    assert frame.dims == (2,) and not frame.tight and frame.sided == "real"
    assert learned("canonical").tight and not learned("canonical", B=2.0).tight and learned("morlet").sided == "auto"
    copied = copy.deepcopy(frame)
    shaken(copied)
    assert not torch.equal(copied.module.kernels, frame.module.kernels)
    frame.on(GRIDS[2]).plot()
    assert all(math.isnan(row["scale"]) for row in frame.on(GRIDS[2]).table())
    assert not any(w.requires_grad for w in Learned.example(1).module.parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_filters": 0}, r"`Learned\(n_filters=...\)`: got 0"),
        ({"n_filters": True}, r"`Learned\(n_filters=...\)`: got True"),
        ({"support": 1}, r"`Learned\(support=...\)`: got 1, expected a whole number >= 2"),
        ({"d": 4}, "got d = 4"),
        ({"parametrisation": "cayley"}, r"`Learned\(parametrisation=...\)`: got 'cayley'"),
        ({"A": 0.0}, r"`Learned\(A=..., B=...\)`: got 0.0 and 1.0"),
        ({"A": 2.0}, "got 2.0 and 1.0"),
        ({"B": math.inf}, "got 0.5 and inf"),
        ({"B": math.nan}, "got 0.5 and nan"),
        ({"seed": 1.5}, r"`Learned\(seed=...\)`: got 1.5"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(ValueError, match=words):
        Learned(**({"n_filters": 2, "support": 2, "d": 1} | options))


@pytest.mark.parametrize("form", FORMS)
def test_refusals_on_a_grid(form):
    frame = learned(form)
    with pytest.raises(ValueError, match="`Learned`: got d = 2, but this family is defined for d = 1"):
        frame.on(Grid.square(8))
    name, weight = next(frame.module.named_parameters())
    with torch.no_grad():
        weight.flatten()[1] = math.nan
    with pytest.raises(ValueError, match=f"the weight `{name}` is not finite at index"):
        frame.on(GRIDS[1])


@pytest.mark.parametrize("name", ["haar", "db2", "db4"])
def test_orthogonal_wavelets_are_paraunitary_banks(name):
    """Their taps, taken apart factor by factor, are weights of the parametrisation, which puts them together again."""
    taps = np.array(taps_of(name)).T
    frame, rest, rows = learned("paraunitary", n_filters=1, support=len(taps)), taps, []
    while len(rest) > 1:
        assert abs(rest[0] @ rest[-1]) <= 1e-12 * np.abs(taps).max()
        P = np.outer(rest[-1], rest[-1]) / (rest[-1] @ rest[-1])
        rows.insert(0, rest[-1])
        rest = rest[:-1] @ (np.eye(2) - P) + rest[1:] @ P
    with torch.no_grad():
        frame.module.delayed.copy_(torch.tensor(np.array(rows)))
        frame.module.mean.copy_(torch.tensor(rest[0]))
    assert np.abs(frame.module.taps().detach().numpy() - taps.T).max() <= 1e-11
