"""The searches reach the bounds that are known to be attained; random draws alone do not."""

import pytest
from violators.catalogue import one_scaled

import scatter_theory as st
from scatter_theory.verify import Effort

TONES = Effort(random=8, structured=96, steps=0, restarts=0)
RANDOM = Effort(random=128, structured=0, steps=0, restarts=0)


def extractor(frame, grid, factors=(1, 1), **kwargs):
    return st.FeatureExtractor([st.Layer(frame, st.Modulus(), st.Subsample(S)) for S in factors], grid, **kwargs)


LINE = st.Grid.line(64)
SQUARE = st.Grid.of((16, 20))

TIGHT = {
    "wavelets": (st.frames.Wavelets(J=3), LINE),
    "wavelets, odd line": (st.frames.Wavelets(J=3), st.Grid.line(45)),
    "tensor wavelets": (st.frames.TensorWavelets(J=2), LINE),
    "Weyl-Heisenberg": (st.frames.WeylHeisenberg(M=8), LINE),
    "Haar": (st.frames.Taps("haar", 2), LINE),
    "tightened Morlet": (st.frames.Morlet(J=3).tightened(), LINE),
    "radial wavelets, 2-D": (st.frames.Wavelets(J=2), SQUARE),
    "tensor wavelets, 2-D": (st.frames.TensorWavelets(J=2), SQUARE),
    "Weyl-Heisenberg, 2-D": (st.frames.WeylHeisenberg(M=4), SQUARE),
}


@pytest.mark.parametrize("name", TIGHT)
def test_attack_reaches_the_lipschitz_bound_of_tight_frames(name):
    """A tone at the maximum of the Littlewood-Paley sum against 0: for a tight frame the ratio is 1."""
    frame, grid = TIGHT[name]
    phi = extractor(frame, grid, (1,))
    check = st.verify.lipschitz(phi, effort=TONES, generator=0)
    assert check.holds
    assert phi.certified_lipschitz().value == pytest.approx(1, abs=1e-12)
    assert check.ratio[0] >= 0.999


@pytest.mark.parametrize("name", ["wavelets", "tensor wavelets, 2-D"])
def test_ascent_alone_climbs_to_the_lipschitz_bound(name):
    """From a few random draws, without any tone."""
    frame, grid = TIGHT[name]
    phi = extractor(frame, grid, (2,))
    effort = Effort(random=4, structured=0, steps=150, restarts=2)
    check = st.verify.lipschitz(phi, effort=effort, generator=1)
    assert check.holds
    assert check.search["ascent"] >= 0.998
    assert check.search["random"] < check.search["ascent"]


@pytest.mark.parametrize(
    ("name", "floor"), [("wavelets", 0.99), ("tensor wavelets", 0.99), ("radial wavelets, 2-D", 0.89)]
)
def test_layers_below_the_input_are_attained_too(name, floor):
    """The features of layer 1 alone: an analytic atom makes a constant of a tone, which the low-pass keeps whole.

    Behind a real atom a tone becomes |cos|, whose mean carries 8/pi^2 of the energy: (8/pi^2)^(1/2) = 0.9003.
    """
    frame, grid = TIGHT[name]
    check = st.verify.lipschitz(extractor(frame, grid, (1,)), effort=TONES, generator=0)
    assert check.ratio[check.series.index("layer 1")] >= floor


@pytest.mark.parametrize("sampling", ["dilate", "decimate"])
@pytest.mark.parametrize(
    ("frame", "grid"),
    [(st.frames.Wavelets(J=4), st.Grid.line(64)), (st.frames.TensorWavelets(J=4), st.Grid.of((32, 32)))],
    ids=["1-D", "2-D"],
)
def test_attack_reaches_the_translation_bound_in_layer_0(sampling, frame, grid):
    """A tone where |chi||xi| is largest moves by almost 2 pi t K for a shift of one sample."""
    phi = extractor(frame, grid, (1,), sampling=sampling)
    check = st.verify.translation(phi, shifts=[1], effort=TONES, generator=0)
    assert check.holds
    assert check.ratio[0] >= 0.99
    alone = st.verify.translation(phi, shifts=[1], effort=RANDOM, generator=0)
    assert alone.ratio[0] < 0.9


def test_attack_reaches_what_non_negative_maps_allow_in_deeper_layers():
    """After a modulus the maps are >= 0 and about 1/sqrt(2) of the bound is possible; two layers cost more."""
    phi = extractor(st.frames.Wavelets(J=3), LINE, (2, 2))
    effort = Effort(random=8, structured=96, steps=80, restarts=3)
    check = st.verify.translation(phi, shifts=[1], effort=effort, generator=0)
    layer_0, layer_1, layer_2 = check.ratio
    assert check.holds
    assert layer_0 >= 0.99
    assert 0.6 < layer_1 < 1
    assert 0.25 < layer_2 < 1
    alone = st.verify.translation(phi, shifts=[1], effort=RANDOM, generator=0)
    assert alone.ratio[1] < layer_1
    assert alone.ratio[2] < layer_2


def test_random_draws_see_little_of_a_broken_frame():
    """One atom doubled, so that B is close to 4: tones find 2, hundreds of random pairs nothing of that size."""
    phi = one_scaled(2.0)
    check = st.verify.lipschitz(phi, effort=TONES, generator=0)
    assert check.outcome is st.Outcome.VIOLATED
    assert check.ratio[0] == pytest.approx(2, rel=1e-3)
    alone = st.verify.lipschitz(phi, effort=RANDOM, generator=0)
    assert alone.ratio[0] < 1.5


def test_exact_multiplier_is_attained():
    """The per-shift form of the translation bound is an operator norm: a tone attains it in layer 0 for any shift."""
    phi = extractor(st.frames.Wavelets(J=3), LINE, (2,))
    for shift in (1, 5, 13):
        check = st.verify.translation(phi, shifts=[shift], bound="multiplier", effort=TONES, generator=0)
        assert check.holds
        assert check.ratio[0] >= 0.98


def test_frame_bounds_are_attained_by_tones():
    """Both bounds of a frame that is not tight, on the grid and for real signals."""
    bank = st.frames.MexicanHat(J=3).on(LINE)
    check = st.verify.frame(bank, real=True, effort=TONES, generator=0)
    assert check.holds
    assert check.ratio.min() >= 1 - 1e-9
