"""How far a strided network is from commuting with translations, measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from scatter_theory.certify.model._trace import check_model
from scatter_theory.grid import is_whole

_WHERE = "covariance_defect"


@dataclass(frozen=True)
class CovarianceDefect:
    r"""Largest :math:`\|f(T_t x) - T_{t/S} f(x)\| / \|f(x)\|` over shifts and the inputs that were given.

    Measured: other inputs may have a larger one.

    Parameters
    ----------
    stride : tuple of int
        S, samples of the input per sample of the output, per axis.
    shifts : tuple of tuple of int
        Circular shifts t of the input, in samples.
    defects : tuple of float
        The largest of all inputs, by shift.
    variant : CovarianceDefect or None
        The same of a second network, such as the copy that `anti_aliased` makes, with the same inputs and shifts.
    """

    stride: tuple[int, ...]
    shifts: tuple[tuple[int, ...], ...]
    defects: tuple[float, ...]
    variant: CovarianceDefect | None = None

    @property
    def value(self) -> float:
        """Over all shifts."""
        return max(self.defects)

    @property
    def worst(self) -> tuple[int, ...]:
        """Shift at which `value` was found."""
        return self.shifts[self.defects.index(self.value)]

    @property
    def whole(self) -> float | None:
        """Over shifts by whole samples of the output, which padding disturbs and strides do not; None without any."""
        found = [d for t, d in zip(self.shifts, self.defects, strict=True) if not any(map(int.__mod__, t, self.stride))]
        return max(found, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return asdict(self)

    def __str__(self) -> str:
        whole = "" if self.whole is None else f"; {self.whole:.4g} at multiples of the stride"
        beside = "" if self.variant is None else f"\nvariant, {self.variant}"
        return (
            f"stride {self.stride}: {self.value:.4g} relative to the output at shift {self.worst}, the largest of "
            f"{len(self.shifts)} shifts{whole}{beside}"
        )


def covariance_defect(
    model: nn.Module,
    inputs: Tensor,
    *,
    shifts: Sequence[Sequence[int]] | None = None,
    variant: nn.Module | None = None,
) -> CovarianceDefect:
    r"""Measure how far maps of a network move when their input does.

    .. math:: \max_{t, x} \frac{\|f(T_t x) - T_{t/S} f(x)\|_2}{\|f(x)\|_2}

    T is the circular translation of the input by whole samples. If t / S is no whole number, the output is moved by the
    phases of its trigonometric interpolation, with the cosine at the Nyquist frequency. An output without aliasing
    moves along; what remains is the aliasing of strides and pooling, and the border of padding that is not circular.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, without hooks. From ``(batch, channels, *grid)`` to ``(batch, channels', *coarse)``.
    inputs : (batch, channels, *grid) tensor
        Of the dtype that the model wants.
    shifts : sequence of tuple of int, optional
        Default: all with 0 to S samples per axis but the shift by nothing.
    variant : nn.Module, optional
        A second network with outputs on the same grid, which is measured beside the first.

    Returns
    -------
    CovarianceDefect

    Raises
    ------
    TypeError
        If `model` or `variant` is no module.
    ValueError
        If a model is in training mode or has hooks, the output has other axes than the input or sizes that do not
        divide those of the input, an output is zero, the two outputs are on different grids, or `shifts` are not whole
        numbers per axis.

    Examples
    --------
    Keeping every second sample of the fastest oscillation gives a constant, whose sign changes with the shift.

    >>> layer = nn.AvgPool1d(1, stride=2).eval()
    >>> fast = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64).reshape(1, 1, 8)
    >>> print(covariance_defect(layer, fast))
    stride (2,): 2 relative to the output at shift (1,), the largest of 2 shifts; 0 at multiples of the stride
    """
    found = _measured(model, inputs, shifts)
    if variant is None:
        return found
    beside = _measured(variant, inputs, found.shifts)
    if beside.stride != found.stride:
        raise ValueError(
            f"`{_WHERE}(variant=...)`: got outputs with the stride {beside.stride}, expected that of the model, "
            f"{found.stride}."
        )
    return replace(found, variant=beside)


def _measured(model: nn.Module, inputs: Tensor, shifts: Sequence[Sequence[int]] | None) -> CovarianceDefect:
    check_model(model, _WHERE)
    with torch.no_grad():
        still = model(inputs)
        stride = _stride(inputs, still)
        chosen = _shifts(shifts, stride)
        axes = tuple(range(2, inputs.ndim))
        size = torch.linalg.vector_norm(still.flatten(1), dim=1)
        if not bool((size > 0).all()):
            raise ValueError(f"`{_WHERE}(inputs=...)`: the output of an input is zero, expected none: leave it out.")
        defects = []
        for t in chosen:
            apart = model(torch.roll(inputs, t, axes)) - _moved(still, [k / s for k, s in zip(t, stride, strict=True)])
            defects.append(float((torch.linalg.vector_norm(apart.flatten(1), dim=1) / size).max()))
    return CovarianceDefect(stride, chosen, tuple(defects))


def _stride(inputs: Tensor, output: Tensor) -> tuple[int, ...]:
    fine, coarse = tuple(inputs.shape[2:]), tuple(output.shape[2:])
    if len(fine) != len(coarse) or not fine or any(n % m for n, m in zip(fine, coarse, strict=True)):
        raise ValueError(
            f"`{_WHERE}(model=...)`: got outputs on {coarse} for inputs on {fine}, expected as many axes with lengths "
            "that divide those of the input. Choose another size of the input, or cut the model before its axes go."
        )
    return tuple(n // m for n, m in zip(fine, coarse, strict=True))


def _shifts(shifts: Sequence[Sequence[int]] | None, stride: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    if shifts is None:
        return tuple(product(*(range(s + 1) for s in stride)))[1:]
    chosen = tuple(tuple(t) for t in shifts)
    if not chosen or any(len(t) != len(stride) or not all(map(is_whole, t)) for t in chosen):
        raise ValueError(
            f"`{_WHERE}(shifts=...)`: got {shifts!r}, expected at least one tuple of {len(stride)} whole numbers."
        )
    return tuple(tuple(int(k) for k in t) for t in chosen)


def _moved(maps: Tensor, shift: list[float]) -> Tensor:
    """Real maps ``(batch, channels, *grid)`` moved by fractions of a sample; rolled where the shift is whole."""
    for axis, t in enumerate(shift, start=2):
        n = maps.shape[axis]
        if t == round(t):
            maps = torch.roll(maps, round(t), axis)
            continue
        phases = torch.fft.rfftfreq(n, dtype=maps.dtype, device=maps.device) * (-2 * torch.pi * t)
        waves = torch.polar(torch.ones_like(phases), phases).reshape(-1, *(1,) * (maps.ndim - axis - 1))
        maps = torch.fft.irfft(torch.fft.rfft(maps, dim=axis) * waves, n=n, dim=axis)
    return maps
