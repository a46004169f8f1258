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

#: Halvings of an interval in which a norm is met; what is left is below rounding.
_HALVINGS = 60


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
    if _ratio(field) < wanted:
        axis = min(range(d), key=lambda i: grid.extent[i])
        steep = sinusoid(*_wave(d, axis, degree), phase, grid.extent)
        field = _blend(field, steep, lambda mixed: _ratio(mixed) >= wanted)
    elif constant:
        if sup_jacobian == 0:
            return translation(direction * sup_tau, grid.extent).scaled_to(sup=sup_tau)
        field = field.scaled_to(jacobian=sup_jacobian)
        far = field + translation(2 * sup_tau * direction, grid.extent)
        field = _blend(field, far, lambda mixed: float(mixed.norms().sup.upper) > sup_tau, outside=False)
    else:
        axis = max(range(d), key=lambda i: grid.extent[i])
        wave, amplitude = _wave(d, axis, 1)
        flat = sinusoid(wave, torch.full_like(amplitude, d**-0.5), phase, grid.extent)
        if _ratio(flat) > wanted * (1 + 1e-12):
            raise ValueError(
                f"`random_warp(sup_jacobian={sup_jacobian}, constant=False)`: a mixture of a random field with a plane "
                f"wave of degree 1 reaches {sup_tau * _ratio(flat):.6g} or more at sup_tau = {sup_tau}. Allow a "
                "constant part with constant=True."
            )
        field = _blend(field, flat, lambda mixed: _ratio(mixed) <= wanted)
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


def _ratio(field: TrigonometricField) -> float:
    """Certified Jacobian over certified displacement."""
    norms = field.norms()
    return float(norms.jacobian.upper / norms.sup.upper)


def _blend(
    field: TrigonometricField,
    other: TrigonometricField,
    reached: Callable[[TrigonometricField], bool],
    *,
    outside: bool = True,
) -> TrigonometricField:
    """The mixture of two fields at which a condition begins to be reached; the last one before, with ``outside=False``.

    The condition is false for `field` and true for `other`.
    """

    def mixed(share: float) -> TrigonometricField:
        return field.scaled(1 - share) + other.scaled(share)

    low, high = 0.0, 1.0
    found = (field, other)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        candidate = mixed(middle)
        if reached(candidate):
            high, found = middle, (found[0], candidate)
        else:
            low, found = middle, (candidate, found[1])
        if high - low <= 1e-15:
            break
    return found[1] if outside else found[0]


def _claim(field: TrigonometricField, sup_tau: float, sup_jacobian: float) -> TrigonometricField:
    """Scale so that neither norm exceeds what was asked, then state what was asked as the upper values."""
    field = field.scaled_to(sup=sup_tau, jacobian=sup_jacobian)
    norms = field.norms()
    sup = Enclosure(norms.sup.lower, torch.full_like(norms.sup.upper, sup_tau))
    jacobian = Enclosure(norms.jacobian.lower, torch.full_like(norms.jacobian.upper, sup_jacobian))
    fresh = TrigonometricField(Polynomial(field.polynomial.coefficients, field.extent))
    return with_norms(fresh, FieldNorms(sup, jacobian, norms.components, norms.source))
