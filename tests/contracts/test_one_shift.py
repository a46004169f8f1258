"""One shift proves c = 1/sqrt 2: proofs, refutations, independent sweeps, tampering, and several dimensions."""

import dataclasses
import math

import numpy as np
import pytest

import scatter_theory as st
from scatter_theory.certify import Falling, RollOff, one_shift, positivity_certificate
from scatter_theory.certify.positivity._roll_off import _step

P = 1 / 32
ONE_OCTAVE = {
    "box": RollOff(0.5 * P, 1.5 * P, "sharp"),
    "log-cosine": RollOff(P, 2 * P, "linear", log=True),
    "Meyer": RollOff(P, 2 * P, "meyer"),
    "Meyer, log": RollOff(P, 2 * P, "meyer", log=True),
    "smooth": RollOff(P, 2 * P, "smooth"),
    "Held": RollOff(P, 2 * P, "linear"),
}
SLOW = {
    "Gaussian": Falling(lambda w: np.exp(-((w / P) ** 2)), 0.5),
    "Butterworth": Falling(lambda w: 1 / (1 + (w / P) ** 4), 0.5),
    "three octaves": RollOff(P, 8 * P, "linear", log=True),
    "falls from 0": RollOff(0.0, P, "meyer"),
}


def M(profile, s, w):
    return (w**2 if s is None else 4 * np.sin(np.pi * s * w) ** 2) * profile.power(w)


@pytest.mark.parametrize("s", [None, 0.3, 1, 4, 8, 12, 14, 16, 20])
@pytest.mark.parametrize("name", ONE_OCTAVE)
def test_one_octave_is_proven(name, s):
    """And the inequality holds on a fine set of frequencies, tested without any of the proof."""
    profile = ONE_OCTAVE[name]
    proof = one_shift(profile, s)
    assert proof.verdict == "proven" and proof.c == math.sqrt(0.5) and proof.recheck()
    w = np.linspace(0, 3 * P, 400_001)
    values = M(profile, s, w)
    at = w[values.argmax()]
    # A box has many maximisers beyond the turning point of the sine only within one lobe: compare the shift instead.
    assert 1 / (2 * proof.shift) == pytest.approx(at, abs=2e-5 * P + (w[1] - w[0]))
    assert np.all(values <= values.max() * (np.sin(np.pi * w * proof.shift) ** 2 + 1e-9))


@pytest.mark.parametrize("s", [None, 1, 4, 8, 12])
@pytest.mark.parametrize("name", SLOW)
def test_slower_falls_are_refuted(name, s):
    """With a frequency at which the inequality fails, whatever the shift within reach."""
    profile = SLOW[name]
    proof = one_shift(profile, s)
    assert proof.verdict == "refuted" and proof.c == 1.0 and proof.recheck()
    w = np.linspace(0, profile.end, 200_001)
    values = M(profile, s, w)
    assert proof.maximiser[0] <= w[values.argmax()] + 1e-6 and w[values.argmax()] - 1e-6 <= proof.maximiser[1]
    x0 = 1 / (2 * w[values.argmax()])
    failing = np.array([proof.counterexample])
    assert M(profile, s, failing)[0] > values.max() * np.sin(np.pi * failing[0] * x0) ** 2


def test_every_single_shift_fails_where_it_is_refuted():
    """No x_0 at all: the largest excess over a fine set of shifts is positive for each of them."""
    for profile in SLOW.values():
        w = np.linspace(0, profile.end, 4001)
        values = M(profile, 1, w)
        excess = [np.max(values - values.max() * np.sin(np.pi * w * x) ** 2) for x in np.linspace(0.5, 60, 4000)]
        assert min(excess) > 1e-5 * values.max()


def test_long_shifts_need_no_sweep():
    """From s = 1/(2 flat) on the shift itself gives equality, also for slow roll-offs."""
    proof = one_shift(SLOW["three octaves"], 16)
    assert proof.verdict == "proven" and proof.shift == 16 and proof.cells == 0 and proof.recheck()
    assert one_shift(SLOW["three octaves"], 15.9).verdict == "refuted"


def test_the_boundary_between_proof_and_refutation():
    """Roll-offs over more and more octaves: proven first, refuted later, nothing between that is both."""
    verdicts = [one_shift(RollOff(P, P * 2**x, "linear", log=True)).verdict for x in np.linspace(0.5, 3, 26)]
    assert verdicts[0] == "proven" and verdicts[-1] == "refuted"
    change = verdicts.index("refuted")
    assert all(v == "refuted" for v in verdicts[change:])
    assert all(v == "proven" for v in verdicts[: change - 1]) and verdicts[change - 1] in ("proven", "undecided")


@pytest.mark.parametrize("name", ["log-cosine", "Meyer", "smooth"])
@pytest.mark.parametrize("s", [None, 1, 8])
def test_it_agrees_with_the_linear_program(name, s):
    """Fine grids, where 1/(2 w_0) is almost whole: certified factors come down to 1/sqrt 2 and never below."""
    profile = ONE_OCTAVE[name]
    w = np.abs(np.fft.fftfreq(512))
    certificate = positivity_certificate(M(profile, s, w))
    assert 0.70710 < certificate.found <= certificate.c < 0.7086


def test_bounds_of_steps_and_curvature():
    """Interval bounds against the functions and their differences."""
    rng = np.random.default_rng(0)
    t = np.sort(rng.uniform(0.02, 0.98, (200, 2)), axis=1)
    for name in ("meyer", "smooth", "linear"):
        bounds = _step(name, t[:, 0], t[:, 1])
        inside = t[:, :1] + (t[:, 1:] - t[:, :1]) * rng.random((200, 50))
        h = 1e-4
        value, up, down = (_step(name, inside + e, inside + e)[0][0] for e in (0.0, h, -h))
        for (low, high), exact in zip(
            bounds, (value, (up - down) / (2 * h), (up - 2 * value + down) / h**2), strict=True
        ):
            assert np.all(exact >= low[:, None] - 1e-3) and np.all(exact <= high[:, None] + 1e-3)
    for profile in (p for n, p in ONE_OCTAVE.items() if n != "box"):
        a = rng.uniform(1.05 * P, 1.8 * P, 200)
        b = a + rng.uniform(0, 0.05 * P, 200)
        w = a[:, None] + (b - a)[:, None] * rng.random((200, 50))
        h = 1e-4 * P
        log = [0.5 * np.log(profile.power((w + e).ravel()).reshape(w.shape)) for e in (-h, 0.0, h)]
        assert np.all(-(log[0] - 2 * log[1] + log[2]) / h**2 >= profile.curvature(a, b)[:, None] - 1e-3 / P**2)
        slopes = [profile.slope(float(x)) for x in w[:, 0]]
        assert slopes == pytest.approx((-(log[2] - log[0]) / (2 * h))[:, 0], rel=1e-3, abs=1e-3 / P)


@pytest.mark.parametrize("change", ["maximiser", "concave", "gap", "short", "profile", "shift", "verdict", "empty"])
def test_tampered_proofs_are_rejected(change):
    proof = one_shift(ONE_OCTAVE["Meyer"], 4)
    left, right = proof.edges
    (k1, k2), c2 = proof.maximiser, proof.concave[1]
    table = {
        "maximiser": {"maximiser": (k1 * 1.01, k2 * 1.01)},
        "concave": {"concave": (1.02 * P, c2), "edges": ((*(e for e in left if e < 1.02 * P), 1.02 * P), right)},
        "gap": {"edges": (left, right[10:])},
        "short": {"edges": (left, right[:-10])},
        "profile": {"profile": RollOff(P, 3 * P, "meyer")},
        "shift": {"samples": 5.0},
        "verdict": {"verdict": "refuted"},
        "empty": {"concave": None},
    }
    assert proof.recheck()
    assert not dataclasses.replace(proof, **table[change]).recheck()


def test_a_refutation_that_is_none_is_rejected():
    refuted = one_shift(SLOW["Gaussian"], 1)
    assert not dataclasses.replace(refuted, counterexample=1.0 * P).recheck()
    assert not dataclasses.replace(refuted, verdict="proven").recheck()


def test_values_alone_prove_nothing():
    """The same profile given by its values: not refuted, and the maximiser stays open."""
    proof = one_shift(Falling(ONE_OCTAVE["Meyer"].power, 0.5), 4)
    assert proof.verdict == "undecided" and proof.c == 1.0 and not proof.recheck()


@pytest.mark.parametrize(
    "frame",
    [
        st.frames.Wavelets(J=3),
        st.frames.Wavelets(J=3, step="smooth", log=True),
        st.frames.Wavelets(J=3, step="sharp"),
        st.frames.Wavelets(J=4, Q=2),
        st.frames.DirectionalWavelets(J=2),
        st.frames.Curvelets(J=2),
        st.frames.Ridgelets(J=2),
        st.frames.Steerable(J=2),
        st.frames.Riesz(J=2),
    ],
    ids=repr,
)
def test_frames(frame):
    """Their profile is that of the output atom on a grid, and it is proven along every direction."""
    d = 1 if isinstance(frame, st.frames.Wavelets) else 2
    shift = 1 if d == 1 else (1, 2)
    proof = one_shift(frame, shift)
    assert proof.verdict == "proven" and proof.recheck()
    assert proof.samples == pytest.approx(1 if d == 1 else math.sqrt(5))
    grid = st.Grid.of((64,) * d)
    output = frame.on(grid, sided="both").output.abs().numpy() ** 2
    radius = np.linalg.norm(grid.frequencies().numpy(), axis=0)
    inside = np.abs(radius - proof.profile.end) > 1e-9
    assert proof.profile.power(radius.ravel()).reshape(radius.shape)[inside] == pytest.approx(output[inside], abs=1e-12)


def test_cutoffs_count_in_units():
    proof = one_shift(st.frames.Wavelets(cutoff=10.0), 0.01)
    assert proof.profile.flat == pytest.approx(20 / 3) and proof.profile.zero == pytest.approx(40 / 3)
    assert proof.verdict == "proven"
    with pytest.raises(ValueError, match="depends on the grid"):
        one_shift(st.frames.Wavelets(cutoff=10.0, Q=3), 0.01)


def test_the_majorant_of_several_dimensions_is_inapplicable():
    proof = one_shift(st.frames.DirectionalWavelets(J=2), d=2)
    assert proof.verdict == "inapplicable" and proof.c == 1.0 and not proof.recheck()
    assert one_shift(st.frames.DirectionalWavelets(J=2), 1.0, d=2).verdict == "proven"


def test_isotropic_multipliers_in_the_plane():
    """24 x 24, edge 1/12: |w||chi| needs more than .707; shifts along one direction are of little use for it."""
    axis = np.fft.fftfreq(24)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    radius = np.hypot(x, y)
    chi = RollOff(1 / 12, 1 / 6, "linear", log=True).power(radius.ravel()).reshape(radius.shape)
    isotropic, directional = positivity_certificate(radius**2 * chi), positivity_certificate(x**2 * chi)
    assert isotropic.c == pytest.approx(0.830, abs=2e-3)
    assert directional.c == pytest.approx(0.727, abs=2e-3)
    assert along(radius**2 * chi) == pytest.approx(0.975, abs=2e-3)


def along(values):
    """Certified factor of the best weights on shifts along the first axis alone, by a program written out here."""
    from scipy.optimize import linprog

    n = values.shape[0]
    k = np.arange(n)
    columns = np.cos(2 * np.pi * np.outer(k, np.arange(1, n // 2 + 1)) / n)
    worst = values.max(1)
    matrix = np.column_stack([columns, -np.ones(n)])
    cost = np.r_[np.zeros(columns.shape[1]), 1.0]
    result = linprog(cost, A_ub=matrix, b_ub=-worst, bounds=[(0, None)] * len(cost))
    return math.sqrt(result.fun / values.max())


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (TypeError, {"profile": st.frames.Morlet(J=3)}),
        (TypeError, {"profile": np.cos}),
        (ValueError, {"profile": ONE_OCTAVE["Meyer"], "samples": 0}),
        (ValueError, {"profile": ONE_OCTAVE["Meyer"], "samples": math.nan}),
        (ValueError, {"profile": ONE_OCTAVE["Meyer"], "samples": (1, 1, 1), "d": 2}),
    ],
)
def test_bad_input(error, arguments):
    with pytest.raises(error, match="one_shift"):
        one_shift(**arguments)


def test_bad_profiles():
    for flat, zero in ((0.2, 0.1), (-0.1, 0.1), (0.1, math.inf)):
        with pytest.raises(ValueError, match="RollOff"):
            RollOff(flat, zero)
    with pytest.raises(ValueError, match="log=True"):
        RollOff(0.0, 0.1, log=True)
    with pytest.raises(ValueError, match="step"):
        RollOff(0.1, 0.2, "cubic")
    with pytest.raises(ValueError, match="Falling"):
        Falling(lambda w: w, 0.5)
    with pytest.raises(ValueError, match="Falling"):
        Falling(lambda w: 1 - w, 0.0)
