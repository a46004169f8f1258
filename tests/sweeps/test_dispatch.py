"""Handing out work: groups, limits, deaths and who is to blame, with pools that break on purpose."""

from collections import Counter
from concurrent.futures import Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool

import pytest

from scatter_theory.sweeps import _dispatch
from scatter_theory.sweeps._dispatch import RETRIES, Dispatcher, WorkerDied
from scatter_theory.sweeps._executors import Workers


class Pool(Executor):
    """Holds what is submitted; `work` finishes the oldest piece, and a deadly item breaks all that are held."""

    def __init__(self, deadly, log):
        self.deadly, self.log, self.held, self.broken = deadly, log, [], False

    def submit(self, fn, /, group):
        if self.broken:
            raise BrokenProcessPool("broken before")
        future = Future()
        self.held.append((future, fn, group))
        self.log.append(("submit", tuple(group), len(self.held)))
        return future

    def work(self):
        future, fn, group = self.held.pop(0)
        if not any(self.deadly(item) for item in group):
            future.set_result(fn(group))
            return
        self.broken = True
        for lost, _, _ in [(future, fn, group), *self.held]:
            lost.set_exception(BrokenProcessPool("a worker died"))
        self.held = []


def dispatched(groups, deadly=lambda item: False, slots=3, work=list, monkeypatch=None):
    """Outcomes by item, the log, and the dispatcher."""
    log, pools = [], []

    def make():
        pools.append(Pool(deadly, log))
        return pools[-1]

    workers = Workers(make(), slots, make)
    dispatcher = Dispatcher(workers, lambda executor, group: executor.submit(work, group), groups)

    def waited(futures, return_when="ALL_COMPLETED"):
        while pools[-1].held and (return_when == "ALL_COMPLETED" or not any(f.done() for f in futures)):
            pools[-1].work()
        return wait(futures, return_when=return_when)

    monkeypatch.setattr(_dispatch, "wait", waited)
    outcomes = list(dispatcher)
    assert len(outcomes) == len({item for item, _ in outcomes})
    return dict(outcomes), log, dispatcher


def test_every_item_comes_back_once_and_no_more_than_the_slots_are_out(monkeypatch):
    outcomes, log, _ = dispatched([[1, 2], [3], [4, 5, 6], [7], [8]], monkeypatch=monkeypatch)
    assert outcomes == {n: n for n in range(1, 9)}
    assert max(held for _, _, held in log) == 3


def test_what_a_worker_hands_back_unfinished_is_handed_out_again(monkeypatch):
    """In pieces of the size that was possible: two of five, then two and one."""
    outcomes, log, _ = dispatched(
        [[1, 2, 3, 4, 5], [6]], work=lambda group: [-item for item in group[:2]], monkeypatch=monkeypatch
    )
    assert outcomes == {n: -n for n in range(1, 7)}
    assert [group for _, group, _ in log] == [(1, 2, 3, 4, 5), (6,), (3, 4), (5,)]


def test_a_death_that_does_not_repeat_is_retried(monkeypatch):
    seen = Counter()

    def once(item):
        seen[item] += 1
        return item == 3 and seen[item] == 1

    outcomes, _, dispatcher = dispatched([[1, 2], [3, 4], [5]], once, monkeypatch=monkeypatch)
    assert outcomes == {n: n for n in range(1, 6)}
    assert dispatcher.deaths[3] == 1 and dispatcher.deaths[1] == 0


@pytest.mark.parametrize("deadly", [{1}, {3}, {6}, {1, 2}, {2, 5}, {1, 2, 3, 4, 5, 6}])
def test_only_the_guilty_are_given_up(monkeypatch, deadly):
    outcomes, log, dispatcher = dispatched([[1, 2, 3], [4], [5, 6]], deadly.__contains__, monkeypatch=monkeypatch)
    assert {item for item, outcome in outcomes.items() if isinstance(outcome, WorkerDied)} == deadly
    assert all(outcomes[n] == n for n in set(range(1, 7)) - deadly)
    assert all(dispatcher.deaths[item] > RETRIES for item in deadly)
    last = {group: held for _, group, held in log if len(group) == 1 and group[0] in deadly}
    assert set(last) == {(item,) for item in deadly} and set(last.values()) == {1}


def test_an_executor_of_the_caller_is_not_replaced(monkeypatch):
    log = []
    pool = Pool(lambda item: True, log)
    dispatcher = Dispatcher(Workers(pool, 1), lambda executor, group: executor.submit(list, group), [[1]])

    def waited(futures, return_when="ALL_COMPLETED"):
        while pool.held:
            pool.work()
        return wait(futures, return_when=return_when)

    monkeypatch.setattr(_dispatch, "wait", waited)
    with pytest.raises(RuntimeError, match="make a new executor"):
        list(dispatcher)


def test_other_errors_end_the_work(monkeypatch):
    def wrong(group):
        raise ValueError("no such module on the worker")

    class Failing(Executor):
        def submit(self, fn, /, group):
            future = Future()
            future.set_exception(ValueError("no such module on the worker"))
            return future

    dispatcher = Dispatcher(Workers(Failing(), 1), lambda executor, group: executor.submit(wrong, group), [[1]])
    with pytest.raises(ValueError, match="no such module"):
        list(dispatcher)
