"""The engine of iterative pruning: hand out a model to train, prune it, rewind it, and again."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import nn

from scatter_theory.pruning._prune import Scope, prune
from scatter_theory.pruning.cycles._checks import check_run, check_taker
from scatter_theory.pruning.cycles._history import CycleReport, History
from scatter_theory.pruning.cycles._snapshot import Snapshot, restore, rewind, snapshot
from scatter_theory.pruning.cycles._step import Step
from scatter_theory.pruning.dead._dead_neurons import DeadNeurons
from scatter_theory.pruning.dead._measure import dead_neurons
from scatter_theory.pruning.masks._masks import Masks, weights
from scatter_theory.pruning.masks._prunable import Skip
from scatter_theory.pruning.rules._gradients import Loss
from scatter_theory.pruning.rules._rule import Rule

Rewind = Literal["init", "early"]

#: What dead neurons are measured on: a loader of inputs, or a function of the model that measures them.
Measure = Iterable[Any] | Callable[[nn.Module], DeadNeurons]


@dataclass(frozen=True)
class Taker:
    """One rule in a cycle: of N weights alive it takes round(high N) - round(low N), so that shares add up exactly."""

    who: str
    rule: Rule
    low: float
    high: float
    scope: Scope

    def count(self, alive: int) -> int:
        """How many it takes."""
        return round(self.high * alive) - round(self.low * alive)


class PruningCycles:
    """What all kinds of iterative pruning share; use `IterativePruning` or `ActivateWhilePruning`."""

    def __init__(
        self, model: nn.Module, rounds: tuple[tuple[Taker, ...], ...], settings: Mapping[str, Any], *, cycles: int,
        back: Rewind | None, skip: Skip, data: Iterable[Any] | None, loss: Loss | None, measure: Measure | None,
        store: str | Path | None, seed: int,
    ) -> None:  # fmt: skip
        where = type(self).__name__
        check_run(where, cycles, back, get_args(Rewind), seed)
        for taker in (taker for round_ in rounds for taker in round_):
            check_taker(where, taker.who, taker.rule, taker.scope, get_args(Scope), data, loss)
        self.model = model
        self._rounds = rounds
        self._schedule = [(0, 1), *((c, r + 1) for c in range(1, cycles) for r in range(len(rounds)))]
        self._settings = {"run": where} | {name: str(value) for name, value in settings.items()}
        self._back, self._skip, self._data, self._loss, self._seed = back, skip, data, loss, seed
        self._measure = measure
        self._file = None if store is None else Path(store) / "state.pt"
        kept = None
        if self._file is not None and self._file.exists():
            kept = torch.load(self._file, map_location="cpu", weights_only=True)
            self._check_settings(kept["settings"])
        # Every layer has its mask from the beginning: parameters and their order never change between the cycles.
        Masks.of(model, skip).apply(model)
        self._start = snapshot(model)
        self._position = 0
        self._init: Snapshot | None = self._start if back == "init" else None
        self._early: Snapshot | None = None
        self._reports: list[CycleReport] = []
        self._removed: dict[str, dict[str, int]] = {taker.who: {} for round_ in rounds for taker in round_}
        self._clear()
        if kept is not None:
            self.load_state_dict(kept)

    # --- the loop ----------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Step]:
        """The steps still to be trained. When the loop was left, it begins again with the same step, untrained."""
        while not self.finished:
            yield self._enter()
            self._leave()

    @property
    def finished(self) -> bool:
        """Whether all steps have been trained."""
        return self._position == len(self._schedule)

    @property
    def history(self) -> History:
        """Reports of the steps that are over."""
        return History(self._settings, tuple(self._reports))

    def save_early(self) -> None:
        """Keep the present parameters and buffers as those to rewind to; in cycle 0, with ``rewind="early"``.

        Raises
        ------
        RuntimeError
            In another cycle, or with another `rewind`.
        """
        if self._back != "early" or self._position != 0:
            raise RuntimeError(
                f"`{type(self).__name__}.save_early()`: called in cycle {self._cycle} with `rewind={self._back!r}`, "
                "expected in the training of cycle 0 with `rewind='early'`."
            )
        self._early = snapshot(self.model)

    # --- one step ----------------------------------------------------------------------------------------------------

    @property
    def _cycle(self) -> int:
        """Number of the current cycle; that of the last one when all is over."""
        return self._schedule[min(self._position, len(self._schedule) - 1)][0]

    def _enter(self) -> Step:
        """Put the model at the start of the current step, save, and hand it out."""
        restore(self.model, self._start)
        self._clear()
        self._save()
        cycle, round_ = self._schedule[self._position]
        rounds = len(self._rounds) if cycle else 1
        seed = _derived(self._seed, cycle, round_)
        return Step(cycle, round_, rounds, self.model, self._masks(), seed, self, self._position)

    def _leave(self) -> None:
        """After the training: close the report, prune, rewind, and go on to the next step."""
        report = self._measured()
        if self._position + 1 < len(self._schedule):
            if self._back == "early" and self._early is None:
                raise RuntimeError(
                    f"`{type(self).__name__}(rewind='early')`: cycle 0 is over, but nothing was kept to rewind to. "
                    "Call `save_early()` in its training, after the steps that shall count as early."
                )
            removed = self._prune([*self._reports, report])
            target = {None: None, "init": self._init, "early": self._early}[self._back]
            if target is not None:
                rewind(self.model, target)
        else:
            removed = {who: {} for who in self._removed}
        self._reports.append(report)
        self._removed, self._position = removed, self._position + 1
        self._start = snapshot(self.model)
        self._clear()
        if self.finished:
            self._save()

    def _prune(self, reports: list[CycleReport]) -> dict[str, dict[str, int]]:
        """Let the takers of the next round take their shares of the weights alive before the cycle's first round."""
        cycle, round_ = self._schedule[self._position + 1]
        alive = sum(reports[self._position + 1 - round_].alive.values())
        start = self._start_weights
        removed: dict[str, dict[str, int]] = {who: {} for who in self._removed}
        for k, taker in enumerate(self._rounds[round_ - 1]):
            before = self._masks()
            if not (count := taker.count(alive)):
                continue
            after = prune(
                self.model, taker.rule, share=count / before.alive, scope=taker.scope, skip=self._skip,
                data=self._data, loss=self._loss, start=start, seed=_derived(self._seed, cycle, round_, k + 1),
            )  # fmt: skip
            left = after.per_layer()
            removed[taker.who] = {name: n - left[name][0] for name, (n, _) in before.per_layer().items()}
        return removed

    def _masks(self) -> Masks:
        return Masks.of(self.model, self._skip)

    # --- reports -----------------------------------------------------------------------------------------------------

    def _clear(self) -> None:
        """Forget what is known of the step in progress, and note the weights at its start."""
        self._values: dict[str, float] = {}
        self._read: CycleReport | None = None
        self._versions: tuple[tuple[int, int], ...] = ()
        self._start_weights = {name: w.clone() for name, w in weights(self.model, self._masks()).items()}

    def _record(self, position: int, values: Mapping[str, float]) -> None:
        if position != self._position:
            raise RuntimeError(
                "`Step.record(...)`: called on a step that is over, expected the one in progress. Call it before the "
                "loop goes on."
            )
        self._values |= {name: float(value) for name, value in values.items()}

    def _report(self, position: int) -> CycleReport:
        return self._measured() if position == self._position else self._reports[position]

    def _measured(self) -> CycleReport:
        """Report of the step in progress; measured again only if the model has changed since it was last read."""
        if self._read is None or self._versions != self._now():
            cycle, round_ = self._schedule[self._position]
            layers = self._masks().per_layer()
            alive = {name: n for name, (n, _) in layers.items()}
            sizes = {name: n for name, (_, n) in layers.items()}
            self._read = CycleReport(cycle, round_, alive, sizes, self._removed, dead=self._dead())
            self._versions = self._now()
        return replace(self._read, values=dict(self._values))

    def _dead(self) -> DeadNeurons | None:
        if self._measure is None:
            return None
        return self._measure(self.model) if callable(self._measure) else dead_neurons(self.model, self._measure)

    def _now(self) -> tuple[tuple[int, int], ...]:
        """Identities and version counters of all tensors, which any change in place moves on; no values are read."""
        return tuple((id(t), t._version) for t in (*self.model.parameters(), *self.model.buffers()))

    # --- keeping -----------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that the run needs to go on from the start of the current step; ``torch.save`` takes it.

        Tensors are shared with the run, not copied.
        """
        return {
            "settings": dict(self._settings),
            "position": self._position,
            "start": self._start,
            "init": self._init,
            "early": self._early,
            "removed": self._removed,
            "history": json.dumps(self.history.to_dict()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another run was, at the start of the step that it was in; the model takes its tensors over.

        Raises
        ------
        ValueError
            If the settings or the model differ.
        """
        self._check_settings(state["settings"])
        restore(self.model, state["start"])
        self._position, self._removed = state["position"], state["removed"]
        self._start, self._init, self._early = state["start"], state["init"], state["early"]
        self._reports = list(History.from_dict(json.loads(state["history"])).reports)
        self._clear()

    def _check_settings(self, kept: Mapping[str, str]) -> None:
        for name in {**self._settings, **kept}:
            ours, theirs = self._settings.get(name), kept.get(name)
            if ours != theirs:
                raise ValueError(
                    f"`{type(self).__name__}(store=...)`: got {name} {ours}, but the run that was kept had {theirs}. "
                    "Use the same settings to go on, or another folder to begin anew."
                )

    def _save(self) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        # Written beside and moved into place: whenever it is killed, one whole state is there.
        fresh = self._file.with_suffix(".new")
        torch.save(self.state_dict(), fresh)
        os.replace(fresh, self._file)


def _derived(*numbers: int) -> int:
    """A seed made of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
