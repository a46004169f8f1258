"""A random warp whose two norms are exactly what was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from scatter_theory.deform._families import BandLimitedFields, check_degree
from scatter_theory.deform._fields import FieldNorms
from scatter_theory.deform._trigonometric import TrigonometricField, sinusoid, translation, with_norms
from scatter_theory.grid import Grid
from scatter_theory.seeds import Seed, seeded
from scatter_theory.trigonometric import Enclosure, Polynomial

#: Samples per period and degree by which mixtures are compared.
_OVERSAMPLING = 12
#: Halvings of the interval of mixtures, searches at most, and the relative error at which they end.
_HALVINGS, _ROUNDS, _CLOSE = 50, 6, 1e-10


def random_warp(
    grid: Grid,
    sup_tau: float,
    *,
    sup_jacobian: float | None = None,
    degree: int = 3,
    constant: bool = True,
    generator: Seed = None,
) -> TrigonometricField:
    r"""A random band-limited field with given certified norms.

    The certified upper values are ``norms().sup.upper == sup_tau`` and, if asked for,
    ``norms().jacobian.upper == sup_jacobian`` (within rounding; the true norms lie below by the width of the
    enclosure). A Jacobian that is smaller than that of the random oscillation is met by mixing in a constant
    displacement, which has none; a larger one by mixing in the plane wave that attains the largest possible,

    .. math:: \|D\tau\|_\infty \le 2\pi M \|\tau\|_\infty / \min_l L_l \qquad (\text{degree } M; \text{ Bernstein}).

    Parameters
    ----------
    grid : Grid
        Gives the periods and the unit.
    sup_tau : float
        :math:`\|\tau\|_\infty > 0`, in the unit of the grid.
    sup_jacobian : float, optional
        :math:`\|D\tau\|_\infty \ge 0`.
    degree : int
        Largest frequency along every axis, in periods per extent.
    constant : bool
        Whether a constant displacement may be part of the field. Without it, small Jacobians cannot be reached.
    generator : int, torch.Generator or None

    Returns
    -------
    TrigonometricField
        One field, batch ``()``, float64.

    Raises
    ------
    ValueError
        If no field of this degree has the two norms; the message names the limit, and the degree that would do.
    """
    check_degree("random_warp", degree)
    if not 0 < sup_tau < math.inf:
        raise ValueError(f"`random_warp(sup_tau=...)`: got {sup_tau}, expected a finite positive number.")
    source, _ = seeded(generator)
    drawn = BandLimitedFields(degree, constant and sup_jacobian is None)
    field = drawn.member(drawn.draw(grid, 1, generator=source), grid).select(0)
    if sup_jacobian is None:
        return field.scaled_to(sup=sup_tau)
    _check_jacobian(grid, sup_tau, sup_jacobian, degree)
    d = grid.ndim
    direction = torch.randn(d, generator=source, dtype=torch.float64)
    direction = direction / torch.linalg.vector_norm(direction)
    phase = 2 * math.pi * float(torch.rand((), generator=source, dtype=torch.float64))
    wanted = sup_jacobian / sup_tau
    if _ratio(field.norms()) < wanted:
        axis = min(range(d), key=lambda i: grid.extent[i])
        steep = sinusoid(*_wave(d, axis, degree), phase, grid.extent)
        field = _blend(field, steep, lambda norms: _ratio(norms) / wanted)
    elif constant:
        if sup_jacobian == 0:
            return translation(direction * sup_tau, grid.extent).scaled_to(sup=sup_tau)
        field = field.scaled_to(jacobian=sup_jacobian)
        far = field + translation(3 * sup_tau * direction, grid.extent)
        field = _blend(field, far, lambda norms: float(norms.sup.upper) / sup_tau)
    else:
        axis = max(range(d), key=lambda i: grid.extent[i])
        wave, amplitude = _wave(d, axis, 1)
        flat = sinusoid(wave, torch.full_like(amplitude, d**-0.5), phase, grid.extent)
        if _ratio(flat.norms()) > wanted * (1 + 1e-12):
            raise ValueError(
                f"`random_warp(sup_jacobian={sup_jacobian}, constant=False)`: a mixture of a random field with a plane "
                f"wave of degree 1 reaches {sup_tau * _ratio(flat.norms()):.6g} or more at sup_tau = {sup_tau}. Allow "
                "a constant part with constant=True."
            )
        field = _blend(field, flat, lambda norms: wanted / _ratio(norms))
    return _claim(field, sup_tau, sup_jacobian)


def _check_jacobian(grid: Grid, sup_tau: float, sup_jacobian: float, degree: int) -> None:
    if not 0 <= sup_jacobian < math.inf:
        raise ValueError(f"`random_warp(sup_jacobian=...)`: got {sup_jacobian}, expected a finite number >= 0.")
    steepest = 2 * math.pi * sup_tau / min(grid.extent)
    if sup_jacobian > steepest * degree * (1 + 1e-12):
        needed = math.ceil(sup_jacobian / steepest * (1 - 1e-12))
        raise ValueError(
            f"`random_warp(sup_jacobian={sup_jacobian})`: fields of degree {degree} with sup_tau = {sup_tau} have a "
            f"sup_jacobian of at most {steepest * degree:.6g} on the extent {grid.extent}. Use degree={needed} or "
            "more, or a larger sup_tau."
        )


def _wave(d: int, axis: int, degree: int) -> tuple[Tensor, Tensor]:
    """Wavevector along an axis, and the amplitude along the same axis."""
    unit = torch.eye(d, dtype=torch.float64)[axis]
    return degree * unit, unit


def _ratio(norms: FieldNorms) -> float:
    """Certified Jacobian over certified displacement."""
    return float(norms.jacobian.upper / norms.sup.upper)


def _blend(
    field: TrigonometricField, other: TrigonometricField, reached: Callable[[FieldNorms], float]
) -> TrigonometricField:
    """The mixture of two fields at which `reached`, a function of the norms, rises to 1.

    It is below 1 for `field` and at least 1 for `other`. Mixtures are compared by their samples on a grid; what the
    samples miss is corrected by certifying the mixture that was found, and searching again.
    """
    shape = tuple(max(_OVERSAMPLING * M, 1) for M in (field + other).polynomial.degrees)
    grid = Grid(shape, tuple(L / n for L, n in zip(field.extent, shape, strict=True)))
    samples = [(f.polynomial.on(grid), f.polynomial.gradient().on(grid)) for f in (field, other)]

    def seen(share: float) -> tuple[Tensor, Tensor]:
        tau, D = ((1 - share) * one + share * two for one, two in zip(*samples, strict=True))
        return torch.linalg.vector_norm(tau, dim=0).max(), D.abs().max()

    missed = [1.0, 1.0]
    best = other
    for _ in range(_ROUNDS):
        low, high = 0.0, 1.0
        for _ in range(_HALVINGS):
            share = 0.5 * (low + high)
            sup, jacobian = (Enclosure(v, v * m) for v, m in zip(seen(share), missed, strict=True))
            low, high = (low, share) if reached(FieldNorms(sup, jacobian, sup, "")) >= 1 else (share, high)
        best = field.scaled(1 - high) + other.scaled(high) if high < 1 else other
        norms = best.norms()
        missed = [float(n.upper / v) for n, v in zip((norms.sup, norms.jacobian), seen(high), strict=True)]
        if abs(reached(norms) - 1) <= _CLOSE or high == 1:
            break
    return best


def _claim(field: TrigonometricField, sup_tau: float, sup_jacobian: float) -> TrigonometricField:
    """Scale so that neither norm exceeds what was asked, then state what was asked as the upper values."""
    field = field.scaled_to(sup=sup_tau, jacobian=sup_jacobian)
    norms = field.norms()
    sup = Enclosure(norms.sup.lower, torch.full_like(norms.sup.upper, sup_tau))
    jacobian = Enclosure(norms.jacobian.lower, torch.full_like(norms.jacobian.upper, sup_jacobian))
    fresh = TrigonometricField(Polynomial(field.polynomial.coefficients, field.extent))
    return with_norms(fresh, FieldNorms(sup, jacobian, norms.components, norms.source))
