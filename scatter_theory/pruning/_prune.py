"""Prune a model to a sparsity, in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import partial
from numbers import Real
from typing import Any, Literal, get_args

from torch import Tensor, nn

from scatter_theory.pruning.masks._masks import Masks, weights
from scatter_theory.pruning.masks._prunable import Skip, prunable
from scatter_theory.pruning.rules._budgets import erk, uniform
from scatter_theory.pruning.rules._gradients import Loss, gradients
from scatter_theory.pruning.rules._lowest import lowest
from scatter_theory.pruning.rules._rule import Context, Rule
from scatter_theory.pruning.rules._weights import Magnitude
from scatter_theory.seeds import Seed, seeded

Scope = Literal["global", "layer", "erk"]


def prune(
    model: nn.Module,
    rule: Rule = Magnitude(),  # noqa: B008
    *,
    sparsity: float | None = None,
    share: float | None = None,
    scope: Scope = "global",
    skip: Skip = (),
    data: Iterable[Any] | None = None,
    loss: Loss | None = None,
    start: Mapping[str, Tensor] | None = None,
    seed: Seed = 0,
) -> Masks:
    r"""Prune the weights that a rule finds least important; masks hold them at exactly 0 from then on.

    Of the n weights that can be pruned, exactly ``round(sparsity * n)`` are pruned afterwards, those pruned before
    included; or exactly ``round(share * a)`` of the a weights alive are pruned now (halves round to even). Pruned
    weights never come back. Equal scores are pruned in the order of the tensors, then of the flat index. A layer may
    end up empty, ``masks.per_layer()`` tells.

    A mask is a torch parametrization. The parameter stays the same object, from then on at
    ``layer.parametrizations.weight.original``, so that an optimizer made before goes on working; its key in
    ``state_dict`` changes with it, and its place among the parameters. ``layer.weight`` is computed, so that assigning
    to it, or initialising it, has no effect on the parameter: use ``originals``. A pruned model can be deep-copied,
    moved and saved by ``state_dict``; torch refuses to pickle it as a whole, ``remove`` makes it plain. Norms and
    biases are never pruned.

    Parameters
    ----------
    model : nn.Module
        Changed in place. Wrap or compile it afterwards.
    rule : Rule
        What is important.
    sparsity, share : float
        Exactly one of them, in [0, 1].
    scope : {"global", "layer", "erk"}
        Scores of all layers together; or each layer to the same sparsity (with `share`: the same share of what is
        alive in it); or each to its Erdos-Renyi-kernel density (Evci et al., ICML 2020), proportional to the sum over
        the product of the weight's sizes and at most 1. The numbers of the layers are rounded so that their sum is
        exact. A layer that has fewer weights left than its budget keeps them, and the others share out the difference.
    skip : str or iterable of str
        Weights to leave out, as in ``prunable``. They do not count in n.
    data, loss : iterable, callable
        Batches and ``loss(model, batch)``, a scalar tensor, for rules that need gradients; these add up over the
        batches. Others do not look at them.
    start : mapping of str to tensor, optional
        The weights at the start of the cycle, by name, for rules that need them: clones of ``originals``.
    seed : int or torch.Generator
        Of random rules.

    Returns
    -------
    Masks
        Of all weights that are not skipped, afterwards.

    Raises
    ------
    TypeError
        If `rule` is no rule, or an argument has the wrong type.
    ValueError
        If `sparsity` or `share` is out of range or below what is pruned already, the rule needs what was not given or
        has fewer candidates than are to be pruned, or a weight is not finite or cannot be pruned (``prunable``). The
        model is unchanged after an error.

    Examples
    --------
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> prune(net, Magnitude(), sparsity=0.8)
    Masks(2 weights, 32 of 160 alive, sparsity 0.8)
    """
    if not isinstance(rule, Rule):
        hint = f" Did you mean `{rule.__name__}()`?" if isinstance(rule, type) else ""
        raise TypeError(f"`prune(rule=...)`: got {rule!r}, expected a pruning rule such as `Magnitude()`.{hint}")
    if scope not in get_args(Scope):
        raise ValueError(f"`prune(scope=...)`: got {scope!r}, expected one of {get_args(Scope)}.")
    names = list(prunable(model, skip))
    generator, _ = seeded(seed)
    masks = Masks.of(model)
    masks = Masks({name: masks[name] for name in names})
    target = _alive_after(masks, sparsity, share)
    _check_given(rule, weights(model, names), data, loss, start)
    # Rounds change the masks, and an error in one must leave no trace.
    trial = model if rule.rounds == 1 else deepcopy(model)
    found = partial(gradients, trial, names, data, loss) if "gradients" in rule.needs else None
    first = masks.alive
    for k in range(1, rule.rounds + 1):
        alive = target if k == rule.rounds else round(first * (target / max(first, 1)) ** (k / rule.rounds))
        if alive == masks.alive:
            continue
        context = Context(trial, weights(trial, names), masks, start, found, generator)
        masks = lowest(_scored(rule, context), masks, _counts(masks, alive, scope, of_alive=sparsity is None))
        if k < rule.rounds:
            masks.apply(trial)
    masks.apply(model)
    return masks


def _alive_after(masks: Masks, sparsity: float | None, share: float | None) -> int:
    """How many weights stay alive."""
    if (sparsity is None) == (share is None):
        got = "neither" if sparsity is None else f"sparsity={sparsity!r} and share={share!r}"
        raise ValueError(f"`prune(sparsity=..., share=...)`: got {got}, expected exactly one of them.")
    name, value = ("share", share) if sparsity is None else ("sparsity", sparsity)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`prune({name}=...)`: got {value!r}, expected a number in [0, 1].")
    if not 0 <= value <= 1:
        meaning = "all prunable weights that is pruned afterwards" if share is None else "those alive to prune now"
        raise ValueError(f"`prune({name}=...)`: got {value!r}, expected a number in [0, 1]: the share of {meaning}.")
    if sparsity is None:
        return masks.alive - round(value * masks.alive)
    alive = masks.size - round(value * masks.size)
    if alive > masks.alive:
        raise ValueError(
            f"`prune(sparsity=...)`: got {value!r}, but {masks.sparsity:.6g} of the weights are pruned already and "
            "never come back. Ask for more, or for a `share` of those alive."
        )
    return alive


def _counts(masks: Masks, alive: int, scope: str, *, of_alive: bool) -> int | dict[str, int]:
    """How many to prune, over all layers or in each."""
    if scope == "global":
        return masks.alive - alive
    budgets = erk(masks, alive) if scope == "erk" else uniform(masks, alive, of_alive=of_alive)
    return {name: now - budgets[name] for name, (now, _) in masks.per_layer().items()}


def _scored(rule: Rule, context: Context) -> dict[str, Tensor]:
    """Scores of a rule, if there is one for each weight."""
    scores = rule.scores(context)
    got = {name: tuple(score.shape) for name, score in scores.items()}
    want = {name: tuple(weight.shape) for name, weight in context.weights.items()}
    if got != want:
        raise ValueError(f"`{type(rule).__name__}.scores(context)`: gave the shapes {got}, expected {want}.")
    return scores


def _check_given(
    rule: Rule, weights: Mapping[str, Tensor], data: object, loss: object, start: Mapping[str, Tensor] | None
) -> None:
    """Refuse weights that are not finite, and a call without what the rule needs."""
    for name, weight in weights.items():
        if not bool(weight.isfinite().all()):
            raise ValueError(f"`prune(model=...)`: the weight {name!r} has entries that are NaN or infinite.")
    if "gradients" in rule.needs and (data is None or loss is None):
        missing = " and ".join(name for name, value in (("data", data), ("loss", loss)) if value is None)
        raise ValueError(
            f"`prune(rule={rule!r})`: the rule needs gradients; pass {missing}: batches, and `loss(model, batch)`."
        )
    if "start" in rule.needs:
        if start is None:
            raise ValueError(
                f"`prune(rule={rule!r})`: the rule needs the weights at the start of the cycle; pass `start`, clones "
                "of `originals(model, names)` from then."
            )
        for name, weight in weights.items():
            if name not in start or start[name].shape != weight.shape:
                got = f"shape {tuple(start[name].shape)}" if name in start else "nothing"
                raise ValueError(
                    f"`prune(start=...)`: got {got} for {name!r}, expected a tensor of shape {tuple(weight.shape)}."
                )
