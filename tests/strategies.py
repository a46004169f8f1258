"""Hypothesis strategies: grids of every shape, and tight frames with random parameters on them."""

from typing import NamedTuple

from hypothesis import strategies as st

from scatter_theory import Grid
from scatter_theory import frames as fr
from scatter_theory.frames._scale import max_octaves

SIDED = st.sampled_from(["half", "both", "real"])
STEPS = st.sampled_from(["meyer", "smooth", "linear", "sharp"])
DILATIONS = st.one_of(st.sampled_from([1.0, 2.0, 3.0, 1.7]), st.floats(1.0, 4.0))


class Case(NamedTuple):
    """A frame, the grid of the input, and the (perhaps relabelled) grid of the layer."""

    frame: fr.Frame
    reference: Grid
    grid: Grid

    @property
    def bank(self):
        return self.frame.on(self.grid, reference=self.reference)


@st.composite
def shapes(draw, d, low=3, high=40, size=4000):
    """Lengths between `low` and `high` per axis, with at most `size` samples in all."""
    shape, left = [], size
    for axis in range(d):
        shape.append(draw(st.integers(low, min(high, left // low ** (d - axis - 1)))))
        left //= shape[-1]
    return tuple(draw(st.permutations(shape)))


@st.composite
def grids(draw, d, **limits):
    """Grids with equal or different spacings per axis."""
    shape = draw(shapes(d, **limits))
    spacing = draw(st.floats(0.01, 100.0))
    ratios = draw(st.one_of(st.just((1.0,) * d), st.tuples(*[st.floats(0.4, 2.5)] * d)))
    return Grid(shape, tuple(spacing * r for r in ratios))


@st.composite
def scales(draw, grid, most=5):
    """Keywords ``J`` or ``cutoff`` that the grid admits."""
    if draw(st.booleans()):
        return {"J": draw(st.integers(1, min(most, max_octaves(grid))))}
    return {"cutoff": draw(st.floats(0.02, 0.6)) / min(grid.spacing)}


def _wavelets(draw, grid):
    return fr.Wavelets(
        **draw(scales(grid)), Q=draw(st.integers(1, 8)), step=draw(STEPS), log=draw(st.booleans()), **draw(common())
    )


def _tensor(draw, grid):
    return fr.TensorWavelets(**draw(scales(grid)), step=draw(STEPS), **draw(common()))


def _weyl_heisenberg(draw, grid):
    most = {1: 24, 2: 5, 3: 3}[grid.ndim]
    each = st.integers(2, most)
    return fr.WeylHeisenberg(
        M=draw(st.one_of(each, st.tuples(*[each] * grid.ndim))),
        window=draw(st.sampled_from(["meyer", "smooth", "linear", "bspline", "gauss"])),
        order=draw(st.integers(2, 6)),
        width=draw(st.floats(0.05, 3.0)),
        **draw(common()),
    )


def _directional(draw, grid):
    L = 2 * draw(st.integers(2, 8))
    return fr.DirectionalWavelets(**draw(scales(grid)), L=L, **draw(polar()))


def _curvelets(draw, grid):
    L0 = 2 * draw(st.integers(2, 6))
    return fr.Curvelets(**draw(scales(grid, 4)), L0=L0, alpha=draw(st.floats(0, 1)), **draw(polar()))


def _shearlets(draw, grid):
    norm = draw(st.sampled_from(["separable", "max"]))
    L0 = 4 * draw(st.integers(1, 3))
    return fr.Shearlets(**draw(scales(grid, 4)), alpha=draw(st.floats(0, 1)), L0=L0, norm=norm, **draw(polar()))


def _ridgelets(draw, grid):
    return fr.Ridgelets(**draw(scales(grid, 4)), L0=2 * draw(st.integers(2, 4)), **draw(polar()))


def _steerable(draw, grid):
    return fr.Steerable(**draw(scales(grid)), order=draw(st.integers(1, 6)), step=draw(STEPS), **draw(common()))


def _riesz(draw, grid):
    overlap = draw(overlaps())
    order = draw(st.integers(1, 4))
    return fr.Riesz(**draw(scales(grid)), order=order, step=draw(STEPS), nyquist_overlap=overlap)


def overlaps():
    """Nyquist overlaps, zero among them."""
    return st.one_of(st.just(0.0), st.floats(0.01, 0.25))


def common():
    """Keywords that every family but Riesz has."""
    return st.fixed_dictionaries({"sided": SIDED, "nyquist_overlap": overlaps()})


def polar():
    """Keywords of the directional families."""
    return st.fixed_dictionaries(
        {"sided": SIDED, "nyquist_overlap": overlaps(), "step": STEPS, "overlap": st.floats(0.05, 1.0)}
    )


#: Tight families: name -> (builder, numbers of axes).
TIGHT = {
    "Wavelets": (_wavelets, (1, 2, 3)),
    "TensorWavelets": (_tensor, (1, 2, 3)),
    "WeylHeisenberg": (_weyl_heisenberg, (1, 2, 3)),
    "DirectionalWavelets": (_directional, (2, 3)),
    "Curvelets": (_curvelets, (2,)),
    "Shearlets": (_shearlets, (2,)),
    "Ridgelets": (_ridgelets, (2,)),
    "Steerable": (_steerable, (2,)),
    "Riesz": (_riesz, (1, 2, 3)),
}


@st.composite
def tight_cases(draw, family):
    """A frame of the family on a random grid, often relabelled as in a deeper layer."""
    build, dims = TIGHT[family]
    reference = draw(grids(draw(st.sampled_from(dims))))
    return Case(build(draw, reference), reference, reference.dilate(draw(DILATIONS)))
