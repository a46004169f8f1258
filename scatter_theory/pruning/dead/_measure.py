"""Measures how many units of a model do not fire on given data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor, nn

from scatter_theory.meters import Capture, Site
from scatter_theory.pruning.dead._build import build
from scatter_theory.pruning.dead._dead_neurons import DeadNeurons
from scatter_theory.pruning.dead._modes import Statistics, measured
from scatter_theory.pruning.dead._run import Run, check_axes, default_forward, first, placed, second
from scatter_theory.pruning.dead._state import Rule
from scatter_theory.pruning.dead._static import ReadPaths, Static, ones, paths

Forward = Callable[[nn.Module, Any], Any]


def dead_neurons(
    model: nn.Module,
    loader: Iterable[Any],
    *,
    static: Static = "incoming",
    statistics: Statistics = "eval",
    rule: Rule = "relu",
    eps: float | None = None,
    channel_dim: int = 1,
    sites: Iterable[str] | None = None,
    expect_sites: int | Iterable[str] | None = None,
    units: bool = False,
    forward_fn: Forward | None = None,
    labels: bool = False,
    loss: Forward | None = None,
) -> DeadNeurons:
    r"""Count the dead units of every activation of a model over a data set.

    A unit j is dead at a sample x where its pre-activation is at most 0, :math:`z_j(x) \leq 0`, equality included: the
    derivative of ReLU at 0 is 0. With N samples, n units of which :math:`n_0` are static at 0, and the number K of
    dead pairs of sample and unit,

    .. math:: T = \frac{K}{N n}, \qquad S = \frac{n_0}{n}, \qquad D = T - S

    are the total, static and dynamic rate. A *static* unit depends on no input; being static does not make it dead, as
    its bias or its batch normalisation may hold it above 0. Such units are counted apart (``static_on``).

    Pruning moves units from dynamic to static, so that D can fall while T rises: look at all three. Batch
    normalisation re-centres what pruning shifts, so that rates with running statistics from before a prune and rates
    with `statistics="batch"` may differ much; the result says which were used.

    The model runs without gradients in eval mode, and has its flags, buffers and gradients back afterwards, also after
    an exception. Counters stay on the device, are exact, and do not depend on the sizes of batches.

    Parameters
    ----------
    model : nn.Module
        Any model; a compiled one is measured as it was before.
    loader : iterable
        Batches: a tensor, or a tuple or list whose first entry is the input; samples in the first axis. Inputs are
        moved to the device of the model.
    static : {"incoming", "reach", "constant"}
        What makes a unit static: that all weights that come in are 0; that no path of weights other than 0 leads to it
        from the input; or that its pre-activation was the same at all samples. The first two are read from the weights,
        those masked by parametrizations and by ``torch.nn.utils.prune`` included.
    statistics : {"eval", "batch"}
        Batch normalisation by its running statistics, or by those of each batch. With the latter the counters depend on
        the batches.
    rule : {"relu", "negative", "near_zero"}
        What counts as dead. ``"relu"``: outputs at the lower flat value of activations of ReLU type. ``"negative"``:
        inputs below 0, and ``"near_zero"``: outputs of modulus at most `eps`, of these and of smooth activations.
    eps : float or None
        Positive, for ``"near_zero"``, and None otherwise.
    channel_dim : int
        Axis of the channels: 1 for convolutions, -1 for tokens.
    sites : iterable of str or None
        Modules whose outputs are after a ReLU that cannot be seen, such as ``x * (x > 0)``; they are sites too.
    expect_sites : int, iterable of str or None
        The number of the sites or their names, to be sure that none is missed.
    units : bool
        Whether to keep the flags of all units.
    forward_fn : callable or None
        ``forward_fn(model, batch)`` runs the model on other kinds of batches.
    labels : bool
        Whether to keep the second entry of each batch, for rates by class.
    loss : callable or None
        ``loss(model, batch)`` gives a scalar whose gradient with respect to the outputs of the sites is measured too;
        it runs the model. Where it is a mean, samples of a smaller last batch weigh more.

    Returns
    -------
    DeadNeurons

    Raises
    ------
    TypeError
        For batches of another kind without `forward_fn`.
    ValueError
        If no activation was called, another number of sites than expected, the loader is empty, an output is NaN (the
        first such site is named), samples are not in the first axis of a site, or an argument is out of range.
    RuntimeError
        If the model does not run on the ones by which static units are read.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from scatter_theory import pruning
    >>> net = nn.Sequential(nn.Linear(2, 4, bias=False), nn.ReLU())
    >>> net[0].weight.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> found = pruning.dead_neurons(net, [torch.tensor([[1.0, 1.0], [-1.0, 1.0], [2.0, -1.0], [1.0, 2.0]])])
    >>> [found.rate(name, "pooled") for name in ("static", "dynamic", "total")]
    [0.25, 0.4375, 0.6875]
    """
    _check(static, statistics, rule, eps, forward_fn, loss)
    facts: dict[str, str | int | float] = {"static": static, "rule": rule}
    if eps is not None:
        facts["eps"] = eps
    if hasattr(model, "_orig_mod"):
        model = model._orig_mod
        facts["compiled"] = "measured as it was before it was compiled"
    run = Run(rule, eps or 0.0, channel_dim, static == "constant", loss is not None)
    watch = partial(Capture, model, sites=sites or (), kinds=("relu",) if rule == "relu" else ("relu", "smooth"))
    capture = watch(run.observe, inputs=rule == "negative" or static == "constant")
    alive: dict[str, Tensor] | None = None
    classes: list[Tensor] | None = [] if labels else None
    with measured(model, statistics, gradients=loss is not None) as facts["statistics"]:
        for batch in loader:
            with capture, capture.forward():
                if loss is not None:
                    run.begin(None)
                    run.backward(loss(model, batch), model)
                elif forward_fn is not None:
                    run.begin(None)
                    forward_fn(model, batch)
                else:
                    run.begin(len(first(batch)))
                    default_forward(model, batch)
            run.end()
            if classes is not None:
                classes.append(second(batch, run.sizes[-1]))
            if alive is None and static != "constant":
                with torch.no_grad(), ReadPaths(static, statistics == "batch"):
                    alive = _alive(model, batch, watch, channel_dim, forward_fn or loss, static)
    if not sum(run.sizes):
        raise ValueError("`dead_neurons(loader=...)`: got no sample, expected at least one; a rate needs samples.")
    _check_sites(tuple(run.states), capture.others, expect_sites, rule)
    return build(run, alive, units, classes, facts)


def _alive(
    model: nn.Module, batch: Any, watch: Callable[..., Capture], channel_dim: int, run: Forward | None, static: str
) -> dict[str, Tensor]:
    """For every site the units to which a path of weights leads, by a pass over ones."""
    found: dict[str, Tensor] = {}

    def note(site: Site, z: Tensor, y: Tensor) -> None:
        check_axes(site, z, channel_dim)
        found[site.name] = paths(z).movedim(channel_dim, 1).any(0)

    capture = watch(note)
    given = ones(placed(model, first(batch)[:1])) if run is None else ones(batch)
    with capture, capture.forward():
        try:
            model(given) if run is None else run(model, given)
        except (RuntimeError, TypeError, IndexError, AttributeError) as error:
            raise RuntimeError(
                f"`dead_neurons(static={static!r})`: the model does not run on the tensor of ones by which paths are "
                "read. Use `static='constant'`, which is measured on the data."
            ) from error
    return found


def _check(
    static: str, statistics: str, rule: str, eps: float | None, forward_fn: Forward | None, loss: Forward | None
) -> None:
    for name, value, known in (
        ("static", static, Static),
        ("statistics", statistics, Statistics),
        ("rule", rule, Rule),
    ):
        if value not in get_args(known):
            raise ValueError(f"`dead_neurons({name}=...)`: got {value!r}, expected one of {get_args(known)}.")
    if (rule == "near_zero") != (eps is not None) or (eps is not None and not eps > 0):
        raise ValueError(
            f"`dead_neurons(rule={rule!r}, eps={eps})`: expected a positive `eps` with the rule 'near_zero', and None "
            "with the others."
        )
    if forward_fn is not None and loss is not None:
        raise ValueError(
            "`dead_neurons(forward_fn=..., loss=...)`: got both, expected one; `loss(model, batch)` runs the model."
        )


def _check_sites(found: tuple[str, ...], others: Counter[str], expected: int | Iterable[str] | None, rule: str) -> None:
    """Refuse to say anything of a model without sites, or with other ones than expected."""
    if not found:
        kind = "ReLU-type activation" if rule == "relu" else "activation"
        seen = ", ".join(f"{name} x {calls}" for name, calls in others.items()) or "no other one"
        advice = "pass `rule='negative'` or `'near_zero'`, or name" if others else "name"
        raise ValueError(
            f"`dead_neurons(model=...)`: no {kind} was called; found {seen}; {advice} the modules whose outputs are "
            "after a ReLU in `sites`."
        )
    if expected is None:
        return
    wanted = expected if isinstance(expected, int) else sorted({expected} if isinstance(expected, str) else expected)
    if wanted != (len(found) if isinstance(wanted, int) else sorted(found)):
        raise ValueError(
            f"`dead_neurons(expect_sites={wanted!r})`: found {len(found)} sites {found}. Activations in forms such as "
            "`x * (x > 0)` are not seen: name their modules in `sites`."
        )
