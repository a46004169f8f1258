"""Transforms of kymatio as networks of frames, for verifiers and certificates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scatter_theory.adapters._kymatio_modules import load
from scatter_theory.features import Features
from scatter_theory.frames import Filters
from scatter_theory.grid import Grid
from scatter_theory.layers import Layer
from scatter_theory.network import FeatureExtractor
from scatter_theory.nonlinearities import Modulus
from scatter_theory.paths import FixedPaths
from scatter_theory.scattering._padding import Padding

#: A filter and its scale j.
_Scaled = tuple[Tensor, int]


def extractor(transform: Any) -> FeatureExtractor:
    r"""The network behind a transform of kymatio, as verifiers and certificates take it.

    Its layers have the transform's own filters, as they are: with G their Littlewood-Paley sum for real signals, the
    upper bound B = sup G is not 1 by construction, and above 1 for many transforms of images. Everything that is proven
    of the extractor is proven with that B: `FeatureExtractor.certified_lipschitz` and the verifiers read it from the
    filters. The torus is that of the padded signals, see `padded`.

    What it leaves out is kymatio's sampling between the convolutions, of which the theory knows nothing path by path:
    features are those on all points of the padded grid. `sampled` keeps the points of kymatio's output, and the
    distance to that output is what this sampling does; measure it.

    Parameters
    ----------
    transform : Scattering1D or Scattering2D of kymatio
        Of any of its front ends with averaging, orders 1 or 2. An extractor is in float64 on the CPU whatever the
        transform is in.

    Returns
    -------
    FeatureExtractor
        For real signals of the padded shape, with as many layers as the transform has orders, and its paths.

    Raises
    ------
    TypeError
        For anything but a one- or two-dimensional transform of kymatio.
    ValueError
        For a transform without averaging, whose output is no feature of a frame.
    ModuleNotFoundError
        If kymatio is not installed.

    Warns
    -----
    AdmissibilityWarning
        If some B is above 1.

    Examples
    --------
    >>> from scatter_theory.adapters import kymatio
    >>> phi = kymatio.extractor(kymatio.scattering1d(4, 256))
    >>> phi.grid, phi.plan().paths
    (Grid(shape=(512,), spacing=(1.0,), unit='sample'), (1, 5, 7))
    """
    shape, orders, low = _network(transform)
    grid = Grid.of(shape)
    # The average of real maps is real: what a filter in single precision lacks in symmetry is rounding, and kymatio
    # takes the real part of the result, which this is.
    low = 0.5 * (low + grid.mirror(low))
    frames = [Filters(torch.stack([f for f, _ in order]), output=low, kind="spectra") for order in orders]
    scales = [[j for _, j in order] for order in orders]
    paths = [(a,) for a in range(len(scales[0]))]
    if len(scales) == 2:
        paths += [(a, b) for a, j1 in enumerate(scales[0]) for b, j2 in enumerate(scales[1]) if j2 > j1]
    return FeatureExtractor([Layer(frame, Modulus()) for frame in frames], grid, paths=FixedPaths(paths))


def padded(transform: Any, x: Tensor) -> Tensor:
    """Signals as `extractor` takes them: float64, with the samples that kymatio adds by reflection.

    Parameters
    ----------
    transform : Scattering1D or Scattering2D of kymatio
        The one that the extractor was made of.
    x : (*batch, *shape) real tensor
        Signals as the transform takes them.

    Returns
    -------
    (*batch, *padded) tensor
        Float64, on the device of x.

    Raises
    ------
    TypeError, ValueError
        For another kind of transform, complex signals, or a wrong shape.
    """
    d = _dimension(transform)
    before_padding = bool(getattr(transform, "pre_pad", False))
    shape = _padded_shape(transform) if before_padding else tuple(transform.shape)
    if x.is_complex() or tuple(x.shape[-d:]) != shape:
        raise ValueError(
            f"`kymatio.padded(x)`: got {x.dtype} of shape {tuple(x.shape)}, expected real signals of shape "
            f"(*batch, {', '.join(map(str, shape))}), as the transform takes them."
        )
    if before_padding:
        return x.double()
    if d == 1:
        amounts = ((transform.pad_left, transform.pad_right),)
    else:
        extra = [p - n for p, n in zip(_padded_shape(transform), shape, strict=True)]
        amounts = tuple((e // 2, e - e // 2) for e in extra)
    signals = Padding("reflect", amounts)(x.double().reshape(-1, *shape))
    return signals.reshape(*x.shape[: x.ndim - d], *signals.shape[1:])


def sampled(transform: Any, features: Features) -> Tensor:
    """Features at the points of kymatio's output, in the layout of ``out_type="array"``.

    In one dimension kymatio averages, where it should add, its filters over the periods of a coarser grid: every
    halving of the sampling before a convolution halves the coefficient. The features get the same powers of 1/2, so
    that what remains is aliasing. With ``oversampling=J`` nothing is sampled in between, and there is neither.

    Parameters
    ----------
    transform : Scattering1D or Scattering2D of kymatio
        The one that the extractor was made of.
    features : Features
        Of ``extractor(transform)``.

    Returns
    -------
    (*batch, paths, *out) tensor
        Float64.

    Raises
    ------
    TypeError
        For another kind of transform.
    """
    if _dimension(transform) == 2:
        step = 2**transform.J
        return torch.cat([layer.values[..., ::step, ::step][..., 1:-1, 1:-1] for layer in features], -3)
    level = max(transform.log2_T - transform.oversampling, 0)
    inside = slice(transform.ind_start[level], transform.ind_end[level])
    _, orders, _ = _network(transform)
    found = []
    for layer in features:
        scales = [[orders[n][a][1] for n, a in enumerate(q)] for q in layer.paths]
        halvings = [sum(max(min(j, transform.log2_T) - transform.oversampling, 0) for j in js) for js in scales]
        factors = 2.0 ** -torch.tensor(halvings, dtype=torch.float64)
        found.append(layer.values[..., :: 2**level][..., inside] * factors[:, None].to(layer.values))
    return torch.cat(found, -2)


def _dimension(transform: Any) -> int:
    for d in (1, 2):
        base = load(f"scattering{d}d.frontend.base_frontend")
        if isinstance(transform, getattr(base, f"ScatteringBase{d}D")):
            return d
    raise TypeError(
        f"`kymatio.extractor(transform)`: got {type(transform).__module__}.{type(transform).__name__}, expected a "
        "Scattering1D or Scattering2D of kymatio."
    )


def _padded_shape(transform: Any) -> tuple[int, ...]:
    if _dimension(transform) == 1:
        return (int(transform._N_padded),)
    return int(transform._M_padded), int(transform._N_padded)


def _network(transform: Any) -> tuple[tuple[int, ...], list[list[_Scaled]], Tensor]:
    """Padded shape, filters of each order with their scales, and low-pass, float64."""
    d, shape = _dimension(transform), _padded_shape(transform)
    if d == 1 and not transform.average:
        raise ValueError(
            "`kymatio.extractor(transform)`: got a transform with average=False, expected one that averages: without, "
            "moduli are returned, which are no features of a frame."
        )

    def level(filter: dict[str, Any]) -> Tensor:
        return torch.as_tensor(filter["levels"][0]).detach().cpu().double().reshape(shape)

    banks = [transform.psi1_f, transform.psi2_f] if d == 1 else [transform.psi] * 2
    orders = [[(level(f), int(f["j"])) for f in bank] for bank in banks[: transform.max_order]]
    return shape, orders, level(transform.phi_f if d == 1 else transform.phi)
