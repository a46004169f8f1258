"""The memory that a pass may use: a stated budget, or a share of what is free; chunks are made smaller until it fits.

What a pass needs is predicted (`_prediction`), not measured: the prediction holds within a factor of about 1.5, so that
the default leaves half of the free memory alone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import torch

from scatter_theory.engine._plan import Plan
from scatter_theory.engine._prediction import Prediction, feature_bytes, gradient_bytes, working_bytes

#: Share of the free memory that a pass may use unless a budget is stated.
SHARE = 0.5
#: Bytes of a pass below which the free memory is not looked up.
SMALL = 2**26
#: Bytes of a chunk below which no smaller one is tried.
LEAST = 2**14

_needs: WeakKeyDictionary[Plan, dict[tuple[int, int | None, str, int], int]] = WeakKeyDictionary()


def free_bytes(device: torch.device) -> int | None:
    """Memory that is free on a device; None where it cannot be told."""
    if device.type == "cuda":
        if not torch.cuda.is_available():
            return None
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type != "cpu":
        return None
    found = [_available(), _left_in_container()]
    return min((f for f in found if f is not None), default=None)


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _left_in_container() -> int | None:
    """What the limit of a control group leaves; its file cache counts as free."""
    try:
        folder = Path("/sys/fs/cgroup")
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(limit - used + int(stat.get("inactive_file", 0)), 0)
    except (OSError, ValueError):
        return None


def check_memory(owner: str, memory: object) -> int | None:
    """A budget in bytes as the user states it, or None.

    Raises
    ------
    TypeError, ValueError
        For anything but a positive whole number.
    """
    if memory is None:
        return None
    if isinstance(memory, bool) or not isinstance(memory, int):
        raise TypeError(f"`{owner}(memory=...)`: got {memory!r}, expected a whole number of bytes, or None.")
    if memory < 1:
        raise ValueError(f"`{owner}(memory=...)`: got {memory}, expected at least 1 byte.")
    return memory


def budget_for(need: int, memory: int | None, device: torch.device) -> int | None:
    """Bytes that a pass with such a need may use; None: no limit is known or needed."""
    if memory is not None:
        return memory
    if need <= SMALL:
        return None
    free = free_bytes(device)
    return None if free is None else int(SHARE * free)


def check_full(owner: str, prediction: Prediction, device: torch.device, memory: int | None) -> None:
    """Refuse a pass of the exact executor, whose blocks know the budget, if its features do not fit.

    Raises
    ------
    MemoryError
        With the numbers.
    """
    # The features of the blocks and the joined ones are held at the same time.
    need = 2 * prediction.feature_bytes
    budget = budget_for(need, memory, device)
    if budget is not None and need > budget:
        raise _too_much(owner, prediction.batch, prediction.feature_bytes, prediction.feature_bytes, budget, memory)


def fitted(
    owner: str, plan: Plan, batch: int, device: torch.device, memory: int | None, *, streamed: bool = False
) -> Plan:
    """The plan with chunks small enough for a budget.

    Parameters
    ----------
    owner : str
        Who asks, for the error message.
    plan : Plan
    batch : int
    device : torch.device
    memory : int or None
        The budget in bytes; None: half of what is free.
    streamed : bool
        Whether the features are handed out piece by piece, so that they do not count.

    Raises
    ------
    MemoryError
        If the features, or the smallest chunks, do not fit.
    """
    features = 0 if streamed else feature_bytes(plan, batch)
    need = features + _working(plan, batch, device)
    budget = budget_for(need, memory, device)
    if budget is None or need <= budget:
        return plan
    chunk = plan.chunk_size(batch, device.type)
    while need > budget and chunk > LEAST:
        chunk //= 2
        need = features + _working(smaller := replace(plan, chunk_bytes=chunk), batch, device)
    if need > budget:
        raise _too_much(owner, batch, features, need - features, budget, memory)
    return smaller


def signals_with_gradient(owner: str, plan: Plan, batch: int, device: torch.device, memory: int | None) -> int | None:
    """Signals whose intermediate results may be kept for a gradient at a time; None: those of all signals.

    Raises
    ------
    MemoryError
        If those of one signal do not fit beside the features.
    """
    features, kept = feature_bytes(plan, batch), gradient_bytes(plan, 1)
    budget = budget_for(features + batch * kept, memory, device)
    if budget is None or features + batch * kept <= budget:
        return None
    if features + kept > budget:
        raise _too_much(owner, batch, features, kept, budget, memory)
    return max((budget - features) // kept, 1)


def _too_much(owner: str, batch: int, features: int, work: int, budget: int, memory: int | None) -> MemoryError:
    """The error for a pass that does not fit, with its numbers."""
    origin = "the stated `memory=`" if memory is not None else "half of what is free"
    return MemoryError(
        f"`{owner}`: a batch of {batch} has {_size(features)} of features and needs {_size(work)} more to work, above "
        f"the budget of {_size(budget)} ({origin}). Use a smaller batch, `stream` where there is one, or a larger "
        "`memory=`."
    )


def _size(count: int) -> str:
    unit, name = (2**30, "GiB") if count >= 2**30 else (2**20, "MiB") if count >= 2**20 else (2**10, "KiB")
    return f"{count / unit:.3g} {name}"


def _working(plan: Plan, batch: int, device: torch.device) -> int:
    known = _needs.setdefault(plan, {})
    key = (batch, plan.chunk_bytes, device.type, torch.get_num_threads())
    if key not in known:
        known[key] = working_bytes(plan, batch, device.type)
    return known[key]
