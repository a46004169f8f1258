"""The networks that the search tries: groups that vary one idea each, in turn, every group ordered by promise."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from studies.fashion_mnist.banks import KYMATIO_CUT, Bank, LowPass
from studies.fashion_mnist.network import Configuration, Layer

#: kymatio J = 2, L = 8, order 2 for 28 x 28 images: the same filters, paths, grids, padding and samples.
REFERENCE = Configuration(
    layers=(Layer(Bank(2, 8, "morlet", tolerance=0.0), (36, 18)), Layer(Bank(2, 8, "morlet", tolerance=0.0), (0, 18))),
    paths=((1, 2),),
    output=LowPass(crop=True),
    pad=36,
    centred=False,
)

#: Scale pairs of three scales: all, and those that end at the coarsest.
ALL = ((1, 2), (1, 3), (2, 3))
COARSE = ((1, 3), (2, 3))
MORLET = Bank(3, 8, "morlet")
TIGHT = Bank(3, 8, "morlet-tight")


def _two(
    L: int, grids: tuple[int, int] = (16, 12), inner: int = 12, first: Bank | None = None, **options: object
) -> Configuration:
    """Two scales and one scale pair, as in kymatio; L orientations in the second layer."""
    first = first or Bank(2, 8, "morlet")
    layers = Layer(first, grids), Layer(replace(first, L=L), (0, inner))
    return Configuration(layers, ((1, 2),), **options)


def _three(
    first: Bank,
    second: Bank | int,
    grids: tuple[int, ...] = (16, 12, 8),
    inner: tuple[int, ...] = (0, 12, 8),
    **options: object,
) -> Configuration:
    """Three scales under the low-pass of two; the second layer is a bank, or the first with so many orientations."""
    second = second if isinstance(second, Bank) else replace(first, L=second)
    options = {"paths": ALL, "samples": (7, 7, 5), **options}
    return Configuration((Layer(first, grids), Layer(second, inner)), **options)


def _coarse(first: Bank, second: Bank | int, inner: int = 8, **options: object) -> Configuration:
    """Three scales, second order at the coarsest scale only."""
    return _three(first, second, inner=(0, 0, inner), paths=COARSE, **options)


def _accurate() -> Iterator[Configuration]:
    """Three Morlet scales at about a quarter of kymatio's cost."""
    wide = {"samples": (7, 7, 7)}
    yield _three(MORLET, 4)
    yield _three(MORLET, 4, **wide)
    yield _three(MORLET, 3)
    yield _three(MORLET, 4, (20, 16, 10), (0, 12, 10))
    yield _three(MORLET, 6)
    yield _three(MORLET, 4, samples=(7, 7, 6))
    yield _three(MORLET, 4, (24, 16, 12), (0, 12, 10), **wide)
    yield _three(MORLET, 8)
    yield _three(MORLET, 3, **wide)
    yield _three(MORLET, 4, (18, 12, 10), (0, 12, 10))
    yield _three(MORLET, 4, (20, 12, 8), (0, 12, 8))
    yield _three(MORLET, 4, (16, 16, 10), (0, 12, 10))
    yield _three(MORLET, 4, (16, 12, 10), (0, 12, 10))
    yield _three(replace(MORLET, L=12), 4)
    yield _three(replace(MORLET, L=6), 6)
    yield _three(replace(MORLET, L=10), 4)
    yield _three(MORLET, 4, (32, 16, 16), (0, 16, 16), **wide)
    yield _three(MORLET, 8, stride=2)
    yield _three(MORLET, 4, paths=((1, 2), (1, 3)), **wide)
    yield _three(MORLET, 8, inner=(0, 12, 0), paths=((1, 2),), **wide)
    yield _three(MORLET, 4, (14, 10, 8), (0, 10, 8), **wide)
    yield _three(replace(MORLET, L=12), 3)


def _cheap() -> Iterator[Configuration]:
    """At most about 0.55 MF and 3,025 features."""
    yield _coarse(MORLET, 3)
    yield _three(MORLET, 3, (14, 10, 8), (0, 10, 8))
    yield _coarse(TIGHT, 3)
    yield _coarse(MORLET, 3, samples=(7, 7, 6))
    yield _coarse(replace(MORLET, L=6), 3)
    yield _three(replace(MORLET, L=6), 3, inner=(0, 10, 8))
    yield _coarse(MORLET, 4)
    yield _coarse(MORLET, 2, samples=(7, 7, 7))
    yield _coarse(MORLET, 3, grids=(14, 10, 8))
    yield _three(MORLET, 3, (14, 10, 8), (0, 8, 8))
    yield _coarse(replace(MORLET, L=6), 3, samples=(7, 7, 7))
    yield _coarse(MORLET, 3, grids=(12, 10, 8))
    yield _two(4, inner=10)
    yield _three(TIGHT, 3, (14, 10, 8), (0, 10, 8))
    yield _two(4, (14, 10), 10)
    yield _coarse(replace(MORLET, L=6), 4)
    yield _coarse(replace(TIGHT, L=6), 3, samples=(7, 7, 7))
    yield _three(MORLET, 2, inner=(0, 10, 8))
    yield _coarse(MORLET, 3, grids=(16, 12, 10), inner=10)
    yield _three(MORLET, 3, (12, 10, 8), (0, 8, 8))
    yield _three(MORLET, 3, inner=(0, 10, 0), paths=((1, 2),))
    yield _coarse(MORLET, 3, grids=(14, 12, 10))


def _tightened() -> Iterator[Configuration]:
    """Morlet wavelets made tight around kymatio's Gaussian, with the settings that the plain ones have."""
    yield _three(TIGHT, 4)
    yield _three(TIGHT, 3)
    yield _three(TIGHT, 4, (20, 16, 10), (0, 12, 10))
    yield _three(TIGHT, replace(MORLET, L=4))
    yield _three(MORLET, replace(TIGHT, L=4))
    yield _three(TIGHT, 4, samples=(7, 7, 7))
    yield _three(TIGHT, 6)
    yield _three(replace(TIGHT, tolerance=0.05), 4)
    yield _two(4, first=Bank(2, 8, "morlet-tight"))
    yield _three(TIGHT, 4, (24, 16, 12), (0, 12, 10), samples=(7, 7, 7))
    yield _three(replace(TIGHT, sigma=0.9), 4)
    yield _three(replace(TIGHT, sigma=0.7), 4)
    yield _two(8, first=Bank(2, 8, "morlet-tight"))
    yield _three(TIGHT, 4, (24, 16, 12), (0, 12, 12), output=LowPass(cut=0.4))


def _tight_families() -> Iterator[Configuration]:
    """Bands between low-passes: their kind and cut, round or square, with or without the frequencies above."""
    closed = {"open": False}
    yield _three(Bank(3, 8, "gauss", cut=0.42, **closed), 4)
    yield _three(Bank(3, 8), 4)
    yield _three(Bank(3, 8, "gauss", cut=KYMATIO_CUT), 4)
    yield _three(Bank(3, 8, "bohman", round=True, **closed), 4)
    yield _three(Bank(3, 8, "gauss", cut=0.5, **closed), 4)
    yield _three(Bank(3, 8, round=True, **closed), 4)
    yield _three(Bank(3, 8, "gauss", cut=KYMATIO_CUT, **closed), 4)
    yield _three(Bank(3, 8, "gauss", cut=0.42, angular="gauss", width=0.8, **closed), 4)
    yield _three(Bank(3, 8, "fejer", cut=0.42, **closed), 4)
    yield _three(Bank(3, 8, "bohman", cut=0.42), 4)
    yield _three(Bank(3, 8, "gauss", cut=0.5), 4, (24, 16, 12), (0, 12, 12))
    yield _three(Bank(3, 8), 4, (24, 16, 12), (0, 12, 12))
    yield _three(Bank(3, 8, cut=0.42), 4)
    yield _three(Bank(3, 8, cut=0.6), 4)
    yield _three(Bank(3, 8, "meyer"), 4)
    yield _three(Bank(3, 8, angular="gauss", width=1.0), 4)
    yield _three(Bank(3, 8, angular="meyer"), 4)
    yield _three(Bank(3, 8), 3, output=LowPass("linear", 0.5))


def _two_scales() -> Iterator[Configuration]:
    """Two scales as in kymatio, on coarser grids, with fewer orientations in the second layer."""
    for L, grids, inner in (
        (4, (20, 16), 12),
        (8, (20, 16), 12),
        (4, (16, 12), 12),
        (8, (32, 16), 16),
        (6, (20, 16), 12),
        (8, (16, 12), 12),
        (4, (32, 16), 16),
        (3, (20, 16), 12),
        (8, (16, 16), 16),
        (6, (16, 12), 12),
        (8, (24, 16), 12),
        (8, (14, 10), 10),
        (2, (20, 16), 12),
    ):
        yield _two(L, grids, inner)
    yield _two(8, (36, 18), 12, pad=36)
    yield _two(8, (18, 18), 18, pad=36)
    yield _two(8, (18, 18), 18, pad=36, centred=False, output=LowPass(crop=True))
    for slant in (0.5, 0.7):
        first, second = Bank(2, 8, "morlet"), Bank(2, 4, "morlet", slant=slant)
        yield Configuration((Layer(first, (20, 16)), Layer(second, (0, 12))), ((1, 2),))
    yield _two(8, (20, 16), 12, stride=2)
    yield _two(4, (20, 16), 12, first=Bank(2, 12, "morlet"))


def _outputs() -> Iterator[Configuration]:
    """Averages of the maps: kind and width."""
    for kind, cut in (
        ("gauss", 0.4),
        ("gauss", 0.28),
        ("gauss", 0.5),
        ("bohman", 0.4),
        ("linear", 0.5),
        ("gauss", 0.24),
        ("fejer", 0.4),
        ("gauss", 0.6),
    ):
        yield _three(MORLET, 4, output=LowPass(kind, cut))
    yield _three(MORLET, 4, (20, 16, 10), (0, 12, 10), output=LowPass(crop=True))
    yield _three(TIGHT, 4, (20, 16, 12), (0, 12, 12), output=LowPass("linear", 0.5))
    for cut in (0.4, 0.28):
        yield _coarse(MORLET, 3, output=LowPass(cut=cut))


def _mixed() -> Iterator[Configuration]:
    """Other second layers, envelopes, scale pairs, a third order, a fourth scale."""
    yield _three(MORLET, replace(MORLET, L=4, slant=0.7))
    yield _three(MORLET, Bank(3, 4))
    yield _three(replace(MORLET, sigma=0.9), 4)
    yield _three(replace(MORLET, sigma=0.7), 4)
    for first, *counts in ((MORLET, 3, 2), (MORLET, 4, 3), (TIGHT, 3, 2)):
        banks = first, *(replace(first, L=L) for L in counts)
        layers = tuple(map(Layer, banks, ((16, 12, 8), (0, 12, 8), (0, 0, 8))))
        yield Configuration(layers, (*ALL, (1, 2, 3)), samples=(7, 7, 5, 4))
    yield _three(Bank(3, 8), replace(MORLET, L=4))
    yield _three(MORLET, replace(MORLET, L=4, slant=0.5))
    pairs = ((1, 1), *ALL, (2, 2))
    yield _three(MORLET, 3, inner=(12, 12, 8), paths=pairs)
    first = replace(MORLET, J=4)
    yield _three(first, replace(MORLET, L=4), (16, 12, 8, 8))
    yield _three(first, 4, (16, 12, 8, 8), (0, 0, 8, 8), paths=((1, 3), (1, 4), (2, 3), (2, 4), (3, 4)))
    yield _three(replace(MORLET, tolerance=0.05), 4)
    yield _three(replace(MORLET, slant=0.6), 4)
    yield _three(replace(MORLET, slant=0.4), 4)


def rivals() -> Iterator[Configuration]:
    """The same as kymatio executes it, with fewer orientations."""
    for L in (6, 4):
        layers = tuple(replace(layer, bank=replace(layer.bank, L=L)) for layer in REFERENCE.layers)
        yield replace(REFERENCE, layers=layers)


def _shifted() -> Iterator[Configuration]:
    """Other centre frequencies, wider averages of order two, no finest scale."""
    wide = LowPass(cut=0.28)
    yield _three(MORLET, 4, deep=wide)
    yield _three(replace(MORLET, centre=0.31), 4)
    yield _coarse(MORLET, 3, deep=wide)
    yield _coarse(replace(MORLET, centre=0.31, sigma=0.9), 3)
    yield _three(MORLET, replace(MORLET, L=4, centre=0.31))
    yield _three(MORLET, 4, (0, 14, 10), (0, 0, 10), paths=((2, 3),), samples=(7, 7, 7))
    yield _three(replace(MORLET, centre=0.34, sigma=0.9), 4)
    yield _three(MORLET, 4, deep=LowPass(cut=0.4), samples=(7, 7, 7))


def _sampling() -> Iterator[Configuration]:
    """Samples of the outputs, and where they lie."""
    for samples in ((8, 8, 6), (7, 7, 4), (9, 9, 5), (8, 8, 5), (14, 7, 5), (10, 8, 5), (6, 6, 6)):
        yield _three(MORLET, 4, samples=samples)
    yield _three(MORLET, 4, centred=False)
    for samples in ((8, 8, 5), (9, 9, 5), (7, 7, 4)):
        yield _coarse(MORLET, 3, samples=samples)
    yield _three(MORLET, 3, samples=(8, 8, 6), output=LowPass(cut=0.38))
    yield _three(MORLET, 4, (20, 16, 12), (0, 14, 12), samples=(9, 9, 6), output=LowPass(cut=0.4))


def _padding() -> Iterator[Configuration]:
    """Side of the padded image, on grids of about the same spacing."""
    yield _three(MORLET, 4, (18, 14, 10), (0, 14, 10), pad=36)
    yield _three(MORLET, 4, (14, 12, 8), (0, 12, 8), pad=28)
    yield _three(MORLET, 4, (16, 12, 8), (0, 12, 8), pad=30)
    yield _three(MORLET, 4, (18, 12, 8), (0, 12, 8), pad=34)
    yield _coarse(MORLET, 3, grids=(18, 12, 8), pad=36)
    yield _coarse(MORLET, 3, grids=(14, 10, 8), pad=28)
    yield _three(MORLET, 4, (20, 14, 10), (0, 14, 10), pad=40)


def _small() -> Iterator[Configuration]:
    """At most a twelfth, then a twentieth of kymatio's cost: no padding, maps of 6 x 6 samples in the second layer."""
    first = Bank(3, 8, "morlet", tolerance=0.03, sigma=0.9)
    second = Bank(3, 3, "morlet-tight", tolerance=0.03, slant=1.2)
    deep, last, ends = (*COARSE, (3, 3)), COARSE, ((1, 3), (3, 3))
    for L1, L2, grids, paths, samples in (
        (8, 3, (12, 8, 6), last, 5),
        (8, 3, (12, 8, 6), ends, 5),
        (6, 3, (14, 8, 6), deep, 5),
        (6, 3, (12, 8, 6), last, 5),
        (6, 3, (12, 8, 6), ends, 5),
        (8, 2, (12, 8, 6), deep, 5),
        (6, 3, (12, 8, 6), deep, 5),
        (7, 3, (12, 8, 6), last, 5),
        (6, 2, (12, 8, 6), deep, 5),
        (6, 4, (12, 8, 6), last, 5),
        (6, 3, (10, 8, 6), last, 5),
        (6, 3, (10, 8, 6), ends, 5),
        (6, 2, (10, 8, 6), last, 5),
        (6, 2, (10, 8, 6), ends, 5),
        (6, 3, (10, 8, 6), ((1, 3),), 5),
        (6, 4, (10, 8, 6), ((1, 3),), 5),
        (8, 2, (10, 8, 6), ((1, 3),), 5),
        (5, 3, (10, 8, 6), last, 5),
        (6, 3, (12, 8, 6), last, 6),
    ):
        layers = Layer(replace(first, L=L1), grids), Layer(replace(second, L=L2), (0, 0, 6))
        yield Configuration(layers, paths, samples=(7, 7, samples), pad=28)


def candidates() -> list[Configuration]:
    """All configurations without repetition, one of each group in turn."""
    groups: list[Iterable[Configuration]] = [
        _accurate(),
        _cheap(),
        _tightened(),
        rivals(),
        _shifted(),
        _two_scales(),
        _outputs(),
        _mixed(),
        _tight_families(),
        _sampling(),
        _padding(),
        _small(),
    ]
    rounds = itertools.chain.from_iterable(itertools.zip_longest(*groups))
    return list({net.name: net for net in rounds if net is not None}.values())
