"""Schedules: how sharp the estimators of a binarised model are in the course of training.

All but ``Automatic`` are functions that build one class, ``Schedule``. They end at the estimators that the model was
binarised with.

>>> from torch import nn
>>> from scatter_theory import bnn
>>> model = bnn.binarize_model(nn.Linear(4, 4), bnn.ReSTE(o=3), skip=())
>>> schedule = bnn.schedules.ReSTE(model, epochs=4)
>>> for epoch in range(4):
...     print(round(bnn.binarizers(model)["weight"].estimator.o, 4))
...     schedule.step()
1.0
1.1522
1.5858
2.2346
"""

from __future__ import annotations

from torch import nn

from scatter_theory.bnn._schedule import Rule, Schedule, accepted
from scatter_theory.bnn._schedule_automatic import Automatic
from scatter_theory.bnn._schedule_rules import EDERule, PowerRule, RBNNRule, Shape, TermsRule

__all__ = ["EDE", "FDA", "RBNN", "Automatic", "ReSTE", "Rule", "Schedule"]


def ReSTE(
    model: nn.Module,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    o_end: float | None = None,
    shape: Shape = "quarter_cosine",
    reach_end: bool = False,
) -> Schedule:
    r"""Raise the power of ReSTE from exactly 1 towards its end.

    In part e = 0, ..., E - 1 of the run

    .. math:: o_e = 1 + \bigl(1 - \cos(\tfrac\pi2 \tfrac eE)\bigr) (o_{end} - 1).

    This is the schedule of the released code of Wu et al. (2023). It is convex and never reaches its end: with
    `o_end` = 3 the last of 1000 epochs has 2.996858, and the mean over the run is 1.7268.

    Parameters
    ----------
    model : nn.Module
        A model binarised with ``ReSTE``.
    epochs, steps : int
        Length E of the run in calls of ``step()``; exactly one of the two.
    o_end : float or None
        Final power; may be left out, and must agree with the model's own where given.
    shape : {"quarter_cosine", "linear"}
        ``"linear"`` has ``e/E`` in place of the quarter cosine.
    reach_end : bool
        Have ``e/(E - 1)`` in place of ``e/E``, so that the last part has exactly `o_end`.

    Returns
    -------
    Schedule
        At its first part; ``step()`` after every epoch or step moves on.

    Raises
    ------
    ValueError
        If the model has no ReSTE binarizers, the length is not given once, or `o_end` disagrees with the model.
    """
    if o_end is not None:
        for key, binarizer in accepted("ReSTE", model, PowerRule.accepts).items():
            if binarizer.final_estimator.o != o_end:
                raise ValueError(
                    f"`schedules.ReSTE(o_end={o_end})`: {key!r} was binarised with {binarizer.final_estimator!r}. Use "
                    f"`binarize_model(net, bnn.ReSTE(o={o_end}))`, so that indicators see the same final power."
                )
    return Schedule(model, PowerRule(shape), epochs=epochs, steps=steps, reach_end=reach_end)


def EDE(
    model: nn.Module,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    t_start: float = 1e-3,
    reach_end: bool = False,
) -> Schedule:
    r"""Sharpen the error decay estimator of IR-Net (Qin et al. 2020).

    In part e of E the sharpness is :math:`t_e = t_{start} (t_{end}/t_{start})^{e/E}`, with k = max(1/t, 1). The range
    1e-3 to 10, that is :math:`t_e = 10^{-3 + 4e/E}`, is the one of the released CIFAR code; copies differ. That code
    also centres and standardises the latent weights per filter, which this schedule does not.

    Parameters
    ----------
    model : nn.Module
        A model binarised with ``EDE(t_end, k=max(1/t_end, 1))``, for example ``EDE(t=10, k=1)``.
    epochs, steps : int
        Length E of the run in calls of ``step()``; exactly one of the two.
    t_start : float
        Sharpness in the first part.
    reach_end : bool
        Have ``e/(E - 1)`` in place of ``e/E``, so that the last part has exactly the final estimator.

    Returns
    -------
    Schedule
        At its first part; ``step()`` after every epoch or step moves on.

    Raises
    ------
    ValueError
        If the model has no EDE binarizers or they have another k, the length is not given once, or `t_start` <= 0.
    """
    return Schedule(model, EDERule(t_start), epochs=epochs, steps=steps, reach_end=reach_end)


def RBNN(
    model: nn.Module,
    *,
    epochs: int | None = None,
    steps: int | None = None,
    t_start: float = 1e-2,
    reach_end: bool = False,
) -> Schedule:
    r"""Sharpen the estimator of RBNN (Lin et al. 2020).

    In part e of E the sharpness is :math:`t_e = t_{start} (t_{end}/t_{start})^{e/E}`; with 1e-2 and 10 this is
    :math:`10^{-2 + 3e/E}`. Weights have k = max(1/t, 1); activations have t = max(t_e, 1) and k = 1.

    Parameters
    ----------
    model : nn.Module
        A model binarised with ``RBNN``, for example ``RBNN(t=10, k=1)``.
    epochs, steps : int
        Length E of the run in calls of ``step()``; exactly one of the two.
    t_start : float
        Sharpness in the first part.
    reach_end : bool
        Have ``e/(E - 1)`` in place of ``e/E``, so that the last part has exactly the final estimator.

    Returns
    -------
    Schedule
        At its first part; ``step()`` after every epoch or step moves on.

    Raises
    ------
    ValueError
        If the model has no RBNN binarizers or they end elsewhere, the length is not given once, or `t_start` <= 0.
    """
    return Schedule(model, RBNNRule(t_start), epochs=epochs, steps=steps, reach_end=reach_end)


def FDA(model: nn.Module, *, epochs: int | None = None, steps: int | None = None, reach_end: bool = False) -> Schedule:
    """Raise the number of terms of the Fourier estimator from 1 to n, each for an equal share of the run.

    The equal shares are a choice made here, not a published one.

    Parameters
    ----------
    model : nn.Module
        A model binarised with ``FDA(n, w)``.
    epochs, steps : int
        Length of the run in calls of ``step()``; exactly one of the two.
    reach_end : bool
        As for ``ReSTE``; it shortens the share of the last number of terms.

    Returns
    -------
    Schedule
        At its first part; ``step()`` after every epoch or step moves on.

    Raises
    ------
    ValueError
        If the model has no FDA binarizers, or the length is not given once.
    """
    return Schedule(model, TermsRule(), epochs=epochs, steps=steps, reach_end=reach_end)
