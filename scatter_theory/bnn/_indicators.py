"""Estimating error and gradient stability of a binarised model while it trains."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from scatter_theory.bnn._binarizer import Binarizer, Role, binarizers, latent_weights
from scatter_theory.bnn._indicator_presets import CURVES, PRESETS, Curve
from scatter_theory.bnn._indicator_reader import Reader, unscaled
from scatter_theory.bnn._indicator_record import Record
from scatter_theory.bnn._indicator_steps import Steps
from scatter_theory.bnn._indicator_tally import Tally
from scatter_theory.bnn._report import Totals, build, totals
from scatter_theory.meters import Moments, Recorder, Report


class Indicators:
    r"""Measures every binarised tensor of a model, at the steps of its optimizer, as a context manager.

    For a tensor of latent values z with binary values b(z), surrogate f and gradient g the two indicators are

    .. math:: e = \lVert b(z) - f(z) \rVert_2, \qquad s = \operatorname{var} |g| .

    A large s means unstable gradients. Beside them are reported the error as ``l2``, ``l2_squared``, ``mse`` and
    ``rms``; ``stability_cv2`` = var |g| / (mean |g|)^2, which no scale of the loss or of the slope changes; and the
    shares of entries that are ``saturated`` (beyond the outer limit of the estimator), ``inner`` (within its inner
    limit, where the slope is constant), ``dead`` (their multiplier is 0, so that no gradient passes), or whose sign has
    flipped since the measured step before (``flip_rate``, weights only).

    Latent weights and their gradients are read just before the optimizer steps: after accumulation and unscaling, and
    before weight decay and momentum. Activations are read in the backward passes that lead to that step. Gradient
    clipping before the step is seen. Numbers that are not finite are left out and counted (``excluded``). Training
    is not changed by a single bit, and no value is needed on the host before `report`.

    Parameters
    ----------
    model : nn.Module
        A model from ``binarize_model``, wrapped or not.
    every : int
        Measure the steps k, 2k, ...; the others cost nothing.
    preset : {None, "paper", "official"}
        ``"paper"``: the definition in words, for the weights, with the present estimator, pooled over all of them.
        ``"official"``: what the released code of ReSTE prints. Weights only; the error of the untruncated power
        function with the final o, sign(0) = 0, after the last step of each epoch; the gradient of that step; L2 norms
        and unbiased variances summed over tensors. Call `epoch_end` after each epoch and `totals` at the end.
        None: weights and activations, with the present estimator.
    roles : tuple of {"weight", "activation"} or None
        What to measure; None as the preset says.
    curves : tuple of str or None
        Curves f of the error; the first gives ``error_l2`` and so on, others ``error_l2[curve]``. ``"surrogate"``: of
        the present estimator. ``"final"``: of the estimator where schedules end. For ReSTE: ``"power"``,
        ``"figure"``, ``"antiderivative"`` with the present o, ``"power_final"`` with the final one.
    o_end : float or None
        Final o of ``"power_final"``; None takes it from the binarizers.
    unbiased : bool
        Divisor of all variances: n - 1 or n.
    sample : int
        Read only one of `sample` blocks of 16 neighbouring activations, from a random start, for their error and
        shares. Means, shares and ``l2_squared`` stay unbiased estimates, and ``n`` is the number of entries that were
        read. Take a number that is coprime to the sizes of the activations, e.g. a prime. Weights and all gradients
        are read whole: the variance of gradients rests on few large ones, and a sample would miss them.
    seed : int
        Of these starts, which never touch the random state of torch.
    optimizer : Optimizer or None
        Optimizer whose steps count; None for the one that steps parameters of the model.
    scaler : torch.amp.GradScaler or None
        Loss scaler: its factor is divided out of the gradients of activations, and steps that it skips are left out.
        Weights need it for that only.

    Raises
    ------
    TypeError, ValueError
        For arguments that are none of the above, a model without binarizers of these roles, and curves that an
        estimator does not have.

    Notes
    -----
    On the CPU, float32 tensors of ReSTE and of the identity and clipped estimators are read in one compiled pass, built
    at the first use where there is a C compiler. Everything else takes several passes of torch and costs several times
    as much; `every` and `sample` lower that.

    Under ``DistributedDataParallel`` the gradients of weights are those after averaging over ranks, the same on all of
    them, and are reported as they are. Activations are those of the rank; `merge_ranks` unites them, and then gives
    the variance over the entries of all ranks. DistributedDataParallel averages gradients of weights, so that the
    gradients of activations are those of the mean over a rank's own samples.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        every: int = 1,
        preset: str | None = None,
        roles: tuple[Role, ...] | None = None,
        curves: tuple[Curve, ...] | None = None,
        o_end: float | None = None,
        unbiased: bool = True,
        sample: int = 1,
        seed: int = 0,
        optimizer: Optimizer | None = None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(f"`Indicators(preset=...)`: got {preset!r}, expected one of {tuple(PRESETS)}.")
        for name, value in (("every", every), ("sample", sample)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"`Indicators({name}=...)`: got {value!r}, expected a whole number >= 1.")
        self._preset = PRESETS[preset]
        self._roles = _names("roles", roles, self._preset.roles, get_args(Role))
        self._curves = _names("curves", curves, self._preset.curves, CURVES)
        if self._preset.per_epoch and (every != 1 or "activation" in self._roles):
            raise ValueError(
                "`Indicators(preset='official')`: measures weights once per epoch; leave `every` and `roles` out."
            )
        found = binarizers(model)
        by_role = {role: {key: b for key, b in found.items() if b.role == role} for role in self._roles}
        self._sites: dict[Role, dict[str, Binarizer]] = {role: sites for role, sites in by_role.items() if sites}
        if not self._sites:
            raise ValueError(
                f"`Indicators(model=...)`: no binarised {' or '.join(self._roles)} in the {type(model).__name__}; "
                "binarise it with `bnn.binarize_model` first."
            )
        self._unbiased, self._every = unbiased, every
        self._scaler = scaler
        self._facts = {"preset": str(preset), "every": every, "curve": self._curves[0], "sample": sample, "seed": seed}
        self._facts |= {"variance": "unbiased" if unbiased else "population"}
        self._reader = Reader(self._curves, o_end, self._preset.sign_zero, sample, seed)
        for sites in self._sites.values():
            for key, binarizer in sites.items():
                self._reader.curves_of(key, binarizer)
        self._latent = latent_weights(model)
        self._record = Record({role: tuple(sites) for role, sites in self._sites.items()}, len(self._curves))
        self._step = self._skipped_steps = self._logged = 0
        self._pending: set[str] = set()
        self._room: dict[str, Tensor] = {}
        self._last: dict[str, Moments] = {}
        self._skipped: dict[str, Counter[str]] = {}
        self._found_inf: Tensor | None = None
        parameters = self._latent.values() if self._latent else model.parameters()
        self._steps = Steps(parameters, optimizer, scaler, self._before_step, self._after_skip)

    # --- attaching ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Indicators:
        """Attach to the model.

        Raises
        ------
        RuntimeError
            If this object or another one is attached already.
        """
        activations = self._sites.get("activation", {}).values()
        if self._steps.active or any(b.observer is not None for b in activations):
            raise RuntimeError(
                "`Indicators`: got a model that is being measured, expected one that is not; leave the other `with` "
                "block first."
            )
        self._steps.start()
        self._observe()
        return self

    def __exit__(self, *exception: object) -> None:
        """Detach from the model; what was measured is kept."""
        if self._steps.active:
            self._steps.stop()
            self._observe()

    def _observe(self) -> None:
        """Attach to the activations if the next step is measured, else let go of them."""
        wanted = self._steps.active and (self._step + 1) % self._every == 0
        self._pending = set()
        for key, binarizer in self._sites.get("activation", {}).items():
            binarizer.observer = partial(self._activation, key, binarizer) if wanted else None

    # --- measuring ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _before_step(self, scale: Tensor | None, found_inf: Tensor | None) -> None:
        self._step += 1
        gradients = {}
        if self._preset.per_epoch or self._step % self._every == 0:
            gradients = {key: self._gradient(key) for key in self._sites.get("weight", {})}
        if self._preset.per_epoch:
            moments = {key: Moments.of(g.abs()) for key, g in gradients.items() if g is not None}
            self._last = {k: m if scale is None else m.scaled(1 / scale.double()) for k, m in moments.items()}
            self._found_inf = None if found_inf is None else found_inf.clone()
        elif self._step % self._every == 0:
            rows = {key: unscaled(self._weight(key, g), scale) for key, g in gradients.items()}
            self._record.add(self._step, rows | {key: self._room[key] for key in self._pending}, found_inf)
        self._observe()

    def _after_skip(self) -> None:
        self._skipped_steps += 1
        self._pending = set()

    def _gradient(self, key: str) -> Tensor | None:
        """Gradient of a latent weight; None, and counted, where there is none to measure."""
        latent = self._latent[key]
        if not latent.requires_grad:
            reason = "frozen"
        elif latent.grad is None:
            reason = "no gradient"
        elif latent.grad.layout != torch.strided:
            reason = "sparse gradient"
        else:
            return latent.grad
        self._skipped.setdefault(key, Counter())[reason] += 1
        return None

    def _weight(self, key: str, gradient: Tensor | None) -> Tensor:
        return self._reader.weight(key, self._sites["weight"][key], self._latent[key].detach(), gradient)

    def _activation(self, key: str, binarizer: Binarizer, z: Tensor, upstream: Tensor, gradient: Tensor) -> None:
        """Observer of one binarizer in the backward pass."""
        if not self._steps.active:  # a backward pass through a graph from before the end of the block
            return
        row = self._reader.activation(key, binarizer, z, gradient)
        if self._scaler is not None:
            row = unscaled(row, self._scaler.scale(torch.ones((), device=z.device)))
        if key in self._pending:
            row = Tally.unpack(self._room[key]).merge(Tally.unpack(row)).pack()
        # Small tensors that are made in a backward pass and kept would scatter over the memory that it is about to
        # free, and make the next pass ask the system for more: the state goes where room was made once for all.
        self._room.setdefault(key, torch.empty_like(row)).copy_(row)
        self._pending.add(key)

    @torch.no_grad()
    def epoch_end(self) -> None:
        """Measure after the last step of an epoch, for ``preset="official"``.

        Raises
        ------
        RuntimeError
            With another preset, or if the optimizer has not stepped since the time before.
        """
        if not self._preset.per_epoch:
            raise RuntimeError(
                "`Indicators.epoch_end()`: only `preset='official'` measures at the end of epochs; otherwise steps are "
                "measured, see `every`."
            )
        if self._record.steps[-1:] == [self._step] or not self._step:
            raise RuntimeError(
                f"`Indicators.epoch_end()`: no step of the optimizer since step {self._step}, expected at least one; "
                "call it inside the `with` block after the last step of each epoch."
            )
        rows = {}
        for key in self._sites["weight"]:
            state = Tally.unpack(self._weight(key, None))
            rows[key] = replace(state, gradient=self._last.get(key, state.gradient)).pack()
        self._record.add(self._step, rows, self._found_inf)

    # --- reading out -------------------------------------------------------------------------------------------------

    def merge_ranks(self, group: Any = None) -> None:
        """Unite the activations of all ranks of a process group; every rank must call it, as often as the others.

        Afterwards `report` is the same on all ranks. Steps that were united before are not united twice.

        Raises
        ------
        RuntimeError
            If the ranks have measured different numbers of steps.
        """
        self._record.merge_ranks(group)

    def report(self) -> Report:
        """Everything measured so far: steps x tensors x quantities."""
        return self._since(0)

    def log_to(self, recorder: Recorder) -> None:
        """Hand the steps measured since the last call to a recorder, as `Report.log_to`; waits for the device.

        Call it after every step, or once in a while: every step is handed over once, and training is not changed.

        Raises
        ------
        TypeError
            If the recorder cannot be called.
        """
        self._since(self._logged).log_to(recorder)
        self._logged = len(self._record.steps)

    def _since(self, start: int) -> Report:
        sites, steps, packed, dropped = self._record.read(start)
        facts = {**self._facts, "skipped_steps": self._skipped_steps + dropped}
        skipped = {key: dict(reasons) for key, reasons in self._skipped.items()}
        return build(sites, steps, packed, self._curves, self._unbiased, self._preset.reduction, facts, skipped)

    def totals(self) -> Totals:
        """Error averaged and stability added up over the measured steps, reduced over tensors as the preset says."""
        return totals(self.report())


def _names(argument: str, given: tuple[Any, ...] | None, default: tuple[Any, ...], known: tuple[str, ...]) -> Any:
    names = default if given is None else (given,) if isinstance(given, str) else tuple(given)
    if not names or len(set(names)) < len(names) or not set(names) <= set(known):
        raise ValueError(f"`Indicators({argument}=...)`: got {given!r}, expected one or more different of {known}.")
    return names
