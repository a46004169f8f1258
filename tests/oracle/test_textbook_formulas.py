"""Tight families at single frequencies against their textbook formulas, written with the math module alone."""

import math

import pytest

from scatter_theory import Grid
from scatter_theory import frames as fr

TOLERANCE = 1e-14


def nu(t):
    """Meyer's polynomial."""
    t = min(max(t, 0.0), 1.0)
    return t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3)


def meyer_scaling(a):
    """Meyer's scaling function at frequency `a`."""
    a = abs(a)
    if a <= 1 / 3:
        return 1.0
    return math.cos(math.pi / 2 * nu(3 * a - 1)) if a <= 2 / 3 else 0.0


def meyer_wavelet(a):
    """Modulus of Meyer's wavelet at frequency `a`: support [1/3, 4/3]."""
    a = abs(a)
    if 1 / 3 <= a <= 2 / 3:
        return math.sin(math.pi / 2 * nu(3 * a - 1))
    return math.cos(math.pi / 2 * nu(3 * a / 2 - 1)) if 2 / 3 < a <= 4 / 3 else 0.0


def band(j, J, r):
    """Modulus at radius r of the wavelet of scale j = J-1 (coarsest) .. 0; the finest takes all above 1/3."""
    return 1.0 if j == 0 and r >= 1 / 3 else meyer_wavelet(2 ** (j + 1) * r)


def value(bank, label, index):
    """Spectrum of the named atom at one DFT frequency."""
    spectrum = bank.output if label == "low-pass" else bank[[atom.label for atom in bank.atoms].index(label)]
    return complex(spectrum[index])


@pytest.mark.parametrize("n", [64, 63])
def test_meyer_wavelets(n):
    J, bank = 3, fr.Wavelets(J=3, sided="both").on(Grid.line(n))
    for k in (0, 1, 2, 3, 5, 7, 9, 13, 15, 20, 21, 22, 27, 31, -1, -4, -8, -16, -25, -31):
        xi = k / n
        assert value(bank, "low-pass", k) == pytest.approx(meyer_scaling(2**J * xi), abs=TOLERANCE)
        for j in range(J):
            one = band(j, J, abs(xi)) if k > 0 else 0.0
            assert value(bank, f"j={j}", k) == pytest.approx(one, abs=TOLERANCE)
            other = band(j, J, abs(xi)) if k < 0 else 0.0
            assert value(bank, f"j={j}-", k) == pytest.approx(other, abs=TOLERANCE)
    if n % 2 == 0:  # the Nyquist bin stands for both signs: half of the power each
        for label in ("j=0", "j=0-"):
            assert value(bank, label, n // 2) == pytest.approx(math.sqrt(0.5), abs=TOLERANCE)


def wedge(theta, L, l):
    """Window of wedge l of L at angle theta, by the distance on the circle of length L."""
    distance = abs((L * theta / (2 * math.pi) - l + L / 2) % L - L / 2)
    return math.cos(math.pi / 2 * nu(distance)) if distance < 1 else 0.0


@pytest.mark.parametrize("shape", [(63, 45), (64, 64)])
def test_curvelets(shape):
    J, counts = 3, {2: 8, 1: 16, 0: 16}
    bank = fr.Curvelets(J=J, sided="both").on(Grid.of(shape))
    for index in [(0, 0), (1, 0), (0, 3), (4, 4), (-5, 2), (3, -9), (-7, -8), (15, 2), (12, -12), (-20, 5), (-22, -21)]:
        x, y = index[0] / shape[0], index[1] / shape[1]
        r, theta = math.hypot(x, y), math.atan2(y, x)
        assert value(bank, "low-pass", index) == pytest.approx(meyer_scaling(2**J * r), abs=TOLERANCE)
        for j, L in counts.items():
            for l in range(L):
                expected = band(j, J, r) * wedge(theta, L, l)
                assert value(bank, f"j={j},l={l}", index) == pytest.approx(expected, abs=1e-12)
    if shape[0] == 64:  # on a Nyquist row: the mean power of the two signs
        for l in range(16):
            powers = [
                (band(0, J, math.hypot(x, 10 / 64)) * wedge(math.atan2(10 / 64, x), 16, l)) ** 2 for x in (-0.5, 0.5)
            ]
            assert abs(value(bank, f"j=0,l={l}", (32, 10))) ** 2 == pytest.approx(sum(powers) / 2, abs=TOLERANCE)


def slope_window(x, y, L, l):
    """Shear window: slope y/x around 0 on the right cone, x/y on the upper one, and their opposites."""
    if abs(y) <= abs(x):
        place = y / x if x > 0 else 4 + y / x
    else:
        place = 2 - x / y if y > 0 else 6 - x / y
    return wedge(2 * math.pi * place / 8, L, l)


def test_shearlets():
    J, counts, shape = 3, {2: 8, 1: 16, 0: 16}, (63, 45)
    for norm in ("max", "separable"):
        bank = fr.Shearlets(J=J, norm=norm, sided="both").on(Grid.of(shape))
        for index in [(1, 0), (0, 3), (7, 5), (-5, 2), (3, -9), (-7, -8), (15, 2), (21, 15), (-20, 5), (-22, -21)]:
            x, y = index[0] / shape[0], index[1] / shape[1]
            for j, L in counts.items():
                if norm == "max":
                    power = band(j, J, max(abs(x), abs(y))) ** 2
                else:
                    fine = 1.0 if j == 0 else (meyer_scaling(2**j * x) * meyer_scaling(2**j * y)) ** 2
                    coarse = (meyer_scaling(2 ** (j + 1) * x) * meyer_scaling(2 ** (j + 1) * y)) ** 2
                    power = fine - coarse
                for l in range(L):
                    expected = power * slope_window(x, y, L, l) ** 2
                    assert abs(value(bank, f"j={j},l={l}", index)) ** 2 == pytest.approx(expected, abs=TOLERANCE)


def cubic(u):
    """Centred cubic B-spline, piece by piece."""
    u = abs(u)
    return 2 / 3 - u**2 + u**3 / 2 if u < 1 else ((2 - u) ** 3 / 6 if u < 2 else 0.0)


WINDOWS = {
    "meyer": lambda u: math.cos(math.pi / 2 * nu(abs(u))) if abs(u) < 1 else 0.0,
    "linear": lambda u: math.cos(math.pi / 2 * abs(u)) if abs(u) < 1 else 0.0,
    "bspline": lambda u: math.sqrt(cubic(u)),
    "gauss": lambda u: math.exp(-(u**2) / (2 * 1.3**2)),
}


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("n", [40, 39])
def test_weyl_heisenberg(window, n):
    M, g = 6, WINDOWS[window]
    bank = fr.WeylHeisenberg(M=M, window=window, order=4, width=1.3, sided="both").on(Grid.line(n))
    for k in (0, 1, 2, 3, 5, 8, 11, 14, 17, 19, -1, -2, -6, -13, -19):
        u = M * k / n
        total = sum(g(u - c) ** 2 for c in range(-20, 21))
        for c in (0, 1, 2, 3, -1, -2):
            periods = sum(g(u - c + M * m) ** 2 for m in range(-4, 5))
            label = "low-pass" if c == 0 else f"k={c}"
            expected = math.sqrt(periods / total)
            assert value(bank, label, k) == pytest.approx(expected, abs=3e-14), (label, k)


def test_weyl_heisenberg_between_whole_numbers_of_channels():
    """At 1.7 times the reference rate, M = 6: channels to 5 = floor(10.2 / 2), the last taking what lies beyond."""
    n, reference = 41, Grid.line(41)
    bank = fr.WeylHeisenberg(M=6, sided="both").on(reference.dilate(1.7), reference=reference)
    assert sorted(atom.label for atom in bank.atoms) == sorted(f"k={k}" for k in range(-5, 6) if k)
    for k in (0, 1, 4, 9, 15, 18, 20, -3, -20):
        u = 6 * 1.7 * k / n
        for c in range(1, 6):
            one = 1.0 if c == 5 and u > 5 else WINDOWS["meyer"](u - c)
            assert value(bank, f"k={c}", k) == pytest.approx(one, abs=TOLERANCE)


def test_riesz_transforms():
    shape, J = (33, 27), 2
    bank = fr.Riesz(J=J, order=3).on(Grid.of(shape))
    for index in [(1, 2), (5, -3), (-7, 4), (-16, -13), (10, 0), (0, 9)]:
        x, y = index[0] / shape[0], index[1] / shape[1]
        r = math.hypot(x, y)
        for n in range(4):
            factor = math.sqrt(math.comb(3, n)) * (-1j * x / r) ** n * (-1j * y / r) ** (3 - n)
            for j in range(J):
                got = value(bank, f"j={j},n={n},{3 - n}", index)
                assert got == pytest.approx(band(j, J, r) * factor, abs=1e-12)
