"""Scaling factors of binarised weights: the mean modulus of the latent weight, per layer or per output channel."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

Scaling = Literal["layer", "channel"] | None


def scaling_factor(weight: Tensor, scaling: Literal["layer", "channel"], *, detach: bool = False) -> Tensor:
    r"""The factor :math:`\alpha` that multiplies the signs of a latent weight.

    .. math:: \alpha = \frac1N \sum_i |W_i|

    With ``"layer"`` the sum runs over all N entries, as in the released code of ReSTE (Wu et al. 2023); with
    ``"channel"`` over the N entries that feed one output channel, as in XNOR-Net (Rastegari et al. 2016). Either value
    minimises :math:`\|W - \alpha \operatorname{sign} W\|_2` over the entries that share it.

    Parameters
    ----------
    weight : Tensor
        Latent weight of shape ``(out_channels, ...)``, of any floating dtype.
    scaling : {"layer", "channel"}
        Which entries share one factor.
    detach : bool
        Whether the factor counts as a constant in the backward pass. If not, the gradient of the latent weight gains
        the path through the factor: with ``G`` the gradient at the scaled binary weight and one factor per layer it is
        ``sum(G * sign(W)) * sign(W) / N``.

    Returns
    -------
    Tensor
        Shape ``()`` or ``(out_channels, 1, ...)``; dtype and device of `weight`.
    """
    alpha = weight.abs().mean() if scaling == "layer" else weight.abs().mean(dim=[*range(1, weight.ndim)], keepdim=True)
    return alpha.detach() if detach else alpha


def check_scaling(where: str, scaling: Scaling, detach: bool) -> None:
    """Refuse an unknown scaling, and a detached factor where there is no factor.

    Raises
    ------
    ValueError
        With the name of the calling function, `where`, in the message.
    """
    known = get_args(get_args(Scaling)[0])
    if scaling is not None and scaling not in known:
        raise ValueError(f"`{where}(scaling=...)`: got {scaling!r}, expected one of {known} or None.")
    if scaling is None and detach:
        raise ValueError(
            f"`{where}(detach_scaling=True, scaling=None)`: without a scaling factor there is nothing to detach; pass "
            'scaling="layer" or scaling="channel", or leave `detach_scaling` out.'
        )
