r"""Hypotheses of the sharper bounds, each a pure function that looks at a network and returns a `Hypothesis`.

A bound asks for exactly the flags that its proof needs; one that is not satisfied makes a check INAPPLICABLE and names
what is missing. Nothing is assumed of classes that are not known here: a user's own non-linearity or pooling satisfies
no flag that rests on what it does to signs or positions. Proofs: ``docs/theory/flags.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from scatter_theory.certify._kernels import after_pooling
from scatter_theory.constants import IDENTITY
from scatter_theory.deform import Field
from scatter_theory.grid import is_whole
from scatter_theory.network import FeatureExtractor
from scatter_theory.nonlinearities import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    Modulus,
    Nonlinearity,
    PhaseReLU,
    ReLU,
    Sigmoid,
    SiLU,
    SoftThreshold,
    Tanh,
)
from scatter_theory.poolings import Average, Max, NoPooling, Subsample
from scatter_theory.results import Hypothesis

#: The package's own maps of single values, and why their values may have any sign.
_SIGNED: dict[type[Nonlinearity], str] = {
    Modulus: "",
    ReLU: "",
    Tanh: "tanh is odd",
    Sigmoid: "the shifted sigmoid is odd",
    Identity: "the identity keeps the signs of the filtered maps",
    LeakyReLU: "leaky ReLU with a positive slope keeps the signs",
    ELU: "ELU goes down to -alpha",
    SoftThreshold: "soft thresholding is odd",
    GELU: "GELU is negative on negative numbers",
    SiLU: "SiLU is negative on negative numbers",
    PhaseReLU: "PhaseReLU keeps the phases of the filtered maps",
}


def admissible_layer(phi: FeatureExtractor, n: int) -> Hypothesis:
    r"""Layer n = 1..N does not expand: one step of the energy recursion.

    .. math:: \sup_\xi \big( |\hat\chi_{n-1}|^2 + L_n^2 R_n^2 \sum_\lambda |\hat g_\lambda|^2 \big) \le 1
              \quad\text{and}\quad M_n 0 = P_n 0 = 0 ,

    over the DFT frequencies of the layer, in even parts where the maps that enter are real. Then
    :math:`W_n + |||\Phi^{n-1}|||^2 \le W_{n-1}`. The value is the supremum; constants L, R that a user declared are
    named, and a bound that rests on them must list ``phi.layer_constant(n)`` among its constants.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    n : int
        Layer, from 1 to N.

    Returns
    -------
    Hypothesis
        Whether it is satisfied, and what decided.

    Raises
    ------
    TypeError, ValueError
        If `phi` is no FeatureExtractor, or n is not 1..N.
    """
    n = checked_layer(phi, n, "admissible_layer", 1)
    text = f"layer {n} is admissible: sup (|chi|^2 + L^2 R^2 sum |g|^2) <= 1, and 0 is mapped to 0"
    constant = phi.admissibility(refined=True)[n - 1]
    zero = vanishing_layer(phi, n)
    if not zero.satisfied:
        return Hypothesis(text, False, f"0 is mapped to values of size {zero.value:.3g}")
    value = constant.value if constant.proves else f"{constant.value:.6g}, L or R is only declared"
    return Hypothesis(text, constant.value <= 1 + IDENTITY, value)


def admissible_output(phi: FeatureExtractor) -> Hypothesis:
    r"""The last output atom does not expand: :math:`\sup |\hat\chi_N|^2 \le 1`, in its even part for real maps.

    With `admissible_layer` for n = 1..N: the features of all layers have at most the energy of the signal.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.

    Returns
    -------
    Hypothesis
        Whether it is satisfied, and what decided.
    """
    checked_layer(phi, 0, "admissible_output", 0)
    value = phi.admissibility(refined=True)[-1].value
    return Hypothesis("the last output atom is admissible: sup |chi_N|^2 <= 1", value <= 1 + IDENTITY, value)


def vanishing_layer(phi: FeatureExtractor, n: int) -> Hypothesis:
    """The non-linearity and the pooling of layer n = 1..N map 0 to 0, on maps of the kind that they meet.

    Without it the energy of the maps is not bounded by that of the signal. The value is the largest modulus found.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    n : int
        Layer, from 1 to N.

    Returns
    -------
    Hypothesis
        Whether it is satisfied, and what decided.
    """
    n = checked_layer(phi, n, "vanishing_layer", 1)
    layer, grid = phi.layers[n - 1], phi.grids[n - 1]
    linear_real = phi.real[n - 1] and phi.banks[n - 1].kind == "real"
    zero = torch.zeros(grid.shape, dtype=torch.float64 if linear_real else torch.complex128, device=phi.device)
    values = layer.nonlinearity(zero)
    pooled = layer.pooling.map(torch.zeros_like(values), grid, phi.sampling)
    sizes = torch.stack([values.abs().max(), pooled.abs().max()]).tolist()
    worst = max(sizes) if not any(map(math.isnan, sizes)) else math.nan
    return Hypothesis(f"non-linearity and pooling of layer {n} map 0 to 0", worst == 0.0, worst)


def non_negative(phi: FeatureExtractor, n: int) -> Hypothesis:
    r"""The maps u of layer n (those that meet :math:`\chi_n`) correlate non-negatively with their own translates.

    .. math:: a_u(x) = \Re \langle u, T_x u \rangle \ge 0 \quad\text{for every whole shift } x .

    True for :math:`u \ge 0`, and for complex u with real and imaginary part :math:`\ge 0`; kept by sub-sampling of such
    values, and by averaging with a kernel :math:`\varphi \ge 0`. Without later sub-sampling an autocorrelation of the
    kernel :math:`\ge 0` suffices, because :math:`a_{u * \varphi} = a_u * a_\varphi`. The kernel is that of the grid: a
    low-pass that is positive on the line may be negative on samples. Only the non-linearity and the pooling of layer n
    itself matter. Never satisfied for n = 0, where u is the signal. The value says why.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    n : int
        Layer, from 0 to N.

    Returns
    -------
    Hypothesis
        Whether it is satisfied, and what decided.

    Raises
    ------
    TypeError, ValueError
        If `phi` is no FeatureExtractor, or n is not 0..N.
    """
    n = checked_layer(phi, n, "non_negative", 0)
    text = f"maps of layer {n}: Re <u, T_x u> >= 0 for all shifts"
    if n == 0:
        return Hypothesis(text, False, "layer 0 is the signal itself")
    layer = phi.layers[n - 1]
    if type(layer.pooling) is Max:
        return Hypothesis(text, True, "maxima of moduli")
    reason = _signs(layer.nonlinearity)
    if reason:
        return Hypothesis(text, False, reason)
    return Hypothesis(text, *after_pooling(layer.pooling, phi.grids[n - 1], phi.sampling))


def _signs(nonlinearity: Nonlinearity) -> str:
    """Why values (or their parts) may be negative; empty if they are not."""
    kind = type(nonlinearity)
    if kind not in _SIGNED:
        return f"nothing is proven about the signs of {kind.__name__}"
    flat = isinstance(nonlinearity, ELU) and nonlinearity.alpha == 0
    return "" if nonlinearity.nonnegative or flat else _SIGNED[kind]


def real_maps(phi: FeatureExtractor, n: int) -> Hypothesis:
    """The maps of layer n = 0..N are real for every admitted signal, so that even parts of multipliers decide.

    For complex maps an even part would certify too little: half of the energy at a frequency says nothing about the
    opposite one.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.
    n : int
        Layer, from 0 to N.

    Returns
    -------
    Hypothesis
        Whether it is satisfied, and what decided.
    """
    n = checked_layer(phi, n, "real_maps", 0)
    reason = None if phi.real[n] else ("the signals may be complex" if n == 0 else "complex atoms, complex values")
    return Hypothesis(f"the maps of layer {n} are real", phi.real[n], reason)


def whole_shift(phi: FeatureExtractor, samples: float | Sequence[float], n: int | None = None) -> Hypothesis:
    """The shift moves the arrays of layers 0..n (default N) by whole samples, so that nothing is interpolated.

    In mode ``"dilate"`` the arrays keep their length and every whole shift of the input will do; in mode ``"decimate"``
    it must be a multiple of S_1...S_n. A shift between samples needs the alias budget instead.

    Parameters
    ----------
    phi : FeatureExtractor
    samples : number, or one number per axis
        The shift of the input array, in samples.
    n : int, optional

    Returns
    -------
    Hypothesis
        Whether it is satisfied, and what decided.

    Raises
    ------
    TypeError, ValueError
        If `phi` is no FeatureExtractor, n is not 0..N, or the numbers do not fit the axes of the grid.
    """
    n = checked_layer(phi, phi.depth if n is None and isinstance(phi, FeatureExtractor) else n, "whole_shift", 0)
    values = samples.tolist() if hasattr(samples, "tolist") else samples
    shift = tuple(values) if isinstance(values, Sequence) else (values,)
    if len(shift) != phi.grid.ndim:
        raise ValueError(f"`whole_shift(samples=...)`: got {samples}, expected {phi.grid.ndim} numbers, one per axis.")
    step = phi.pooling_product(n) if phi.sampling == "decimate" else 1.0
    good = all(is_whole(s) and s % step == 0 for s in shift)
    what = "a whole number of samples" if step == 1 else f"a multiple of S_1...S_{n} = {step:g} samples"
    return Hypothesis(f"the shift is {what} along every axis", good, ", ".join(f"{s:g}" for s in shift))


def pointwise(phi: FeatureExtractor) -> Hypothesis:
    r"""Every layer commutes with deformations between its filters, and its non-linearity does not expand.

    Pointwise, position independent non-linearities with L <= 1 satisfy :math:`M(u \circ \phi) = (M u) \circ \phi`; a
    dilation does so with the dilated displacement. Averages and maxima over windows do not commute with deformations,
    and dropping samples has no counterpart on the line.

    Parameters
    ----------
    phi : FeatureExtractor
        The network.

    Returns
    -------
    Hypothesis
        Whether it is satisfied, and what decided.
    """
    checked_layer(phi, 0, "pointwise", 0)
    text = "every layer is a pointwise non-linearity with L <= 1 and no pooling or a dilation"
    for n, layer in enumerate(phi.layers, 1):
        kind, pooling, L = type(layer.nonlinearity), layer.pooling, layer.nonlinearity.lipschitz.value
        still = type(pooling) in (NoPooling, Subsample, Average) and pooling.isometric
        if kind not in _SIGNED:
            return Hypothesis(text, False, f"layer {n}: that {kind.__name__} is pointwise is not proven")
        if not L <= 1:
            return Hypothesis(text, False, f"layer {n}: L = {L:.6g}")
        if not still:
            return Hypothesis(text, False, f"layer {n}: {type(pooling).__name__} does not commute with deformations")
        if phi.sampling == "decimate" and pooling.factor != 1:
            return Hypothesis(text, False, f"layer {n}: samples are dropped")
    return Hypothesis(text, True)


def small_jacobian(field: Field, limit: float = 1.0) -> Hypothesis:
    r"""Every displacement of the batch has :math:`D = d\,\|D\tau\|_\infty <` `limit`, by its certified upper norm.

    With `limit` 1, :math:`x \mapsto x - \tau(x)` is a bijection of the torus and
    :math:`\|f \circ (\mathrm{id} - \tau)\|^2 \le (1 - D)^{-1} \|f\|^2`. The value is the largest D. A norm that is not
    known, as of fields given by samples, is not small.

    Parameters
    ----------
    field : Field
        A displacement, or a batch of them.
    limit : float
        Positive number; bijective below 1.

    Returns
    -------
    Hypothesis
        Whether it is satisfied, and what decided.

    Raises
    ------
    TypeError
        If `field` is no Field.
    """
    if not isinstance(field, Field):
        raise TypeError(f"`small_jacobian(field=...)`: got {type(field).__name__}, expected a displacement field.")
    norms = field.norms()
    D = field.ndim * norms.jacobian.upper.detach().flatten()
    worst = float(D.max()) if D.numel() else 0.0
    value = worst if math.isfinite(worst) else f"unknown: {norms.source}"
    return Hypothesis(f"d ||D tau|| < {limit:g}", worst < limit, value)


def checked_layer(phi: FeatureExtractor, n: Any, owner: str, first: int) -> int:
    """The checked number of a layer between `first` and N."""
    if not isinstance(phi, FeatureExtractor):
        raise TypeError(f"`{owner}(phi=...)`: got {type(phi).__name__}, expected a FeatureExtractor.")
    if not is_whole(n) or not first <= n <= phi.depth:
        raise ValueError(f"`{owner}(n=...)`: got {n!r}, expected a layer from {first} to {phi.depth}.")
    return int(n)
