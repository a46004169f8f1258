"""Cycles of pruning: exact counts, rewinding, going on after a break, and the mistakes of the published script."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from scatter_theory.pruning.cycles._activate import ActivateWhilePruning
from scatter_theory.pruning.cycles._iterative import IterativePruning
from scatter_theory.pruning.dead._measure import dead_neurons
from scatter_theory.pruning.masks._masks import Masks, originals, weights
from scatter_theory.pruning.rules._activate import Activate
from scatter_theory.pruning.rules._activate_on_data import ActivateOnData
from scatter_theory.pruning.rules._controls import MostNegative, RandomNegative
from scatter_theory.pruning.rules._gradient import SNIP
from scatter_theory.pruning.rules._weights import LAMP, Magnitude, Movement, Random

X = torch.randn(64, 6, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > X[:, 1]).long()


def network(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Dropout(dropout), nn.Linear(20, 12), nn.ReLU(),
        nn.Linear(12, 2),
    )  # fmt: skip


PRUNABLE = 6 * 20 + 20 * 12 + 12 * 2


def train(model, steps=5, seed=0, optimizer=None):
    torch.manual_seed(seed)
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    model.train()
    for _ in range(steps):
        rows = torch.randperm(64)[:32]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X[rows]), Y[rows]).backward()
        optimizer.step()
    return optimizer


def tensors(model):
    return {n: t.detach().clone() for n, t in (*model.named_parameters(), *model.named_buffers())}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def plain_names(model):
    return {n.replace("parametrizations.", "").replace(".original", ""): t for n, t in tensors(model).items()}


# --- counts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
@pytest.mark.parametrize(("rate", "share"), [(0.2, 0.02), (0.5, 0.1), (0.37, 0.0), (0.2, 0.2)])
def test_every_count_is_exact(rate, share, scope):
    run = ActivateWhilePruning(network(), Magnitude(), rate=rate, share=share, cycles=4, scope=scope)
    expected, taken = PRUNABLE, {"rule": 0, "selection": 0}
    for step in run:
        assert step.masks.alive == Masks.of(step.model).alive == expected
        train(step.model)
        assert step.report.removed_by == taken
        by_selection = round(share * expected)
        taken = {"rule": round(rate * expected) - by_selection, "selection": by_selection}
        expected -= round(rate * expected)
    assert run.finished and [report.cycle for report in run.history.reports] == [0, 1, 2, 3]


def test_the_selection_changes_what_is_pruned_but_not_how_much():
    runs = {}
    for selection in (Activate(), RandomNegative(), Movement(), MostNegative(), None):
        net = network()
        settings = {"rate": 0.3, "cycles": 3}
        if selection is None:
            run = IterativePruning(net, LAMP(), **settings)
        else:
            run = ActivateWhilePruning(net, LAMP(), share=0.1, selection=selection, **settings)
        seeds = []
        for step in run:
            train(step.model, seed=step.seed)
            seeds.append(step.seed)
        runs[selection] = (Masks.of(net), run.history.sparsity.tolist(), seeds)
    masks, sparsities, seeds = zip(*runs.values(), strict=True)
    assert all(s == sparsities[0] for s in sparsities) and all(s == seeds[0] for s in seeds)
    assert not any(masks[i].equal(masks[j]) for i in range(5) for j in range(i))


def test_the_selection_takes_negative_weights_with_the_least_movement_that_the_rule_left():
    """Against a loop over plain lists."""
    net = network()
    run = iter(ActivateWhilePruning(net, Magnitude(), rate=0.3, share=0.1, cycles=2, rewind=None))
    step = next(run)
    start = {name: w.clone() for name, w in weights(net, step.masks).items()}
    train(net)
    end = {name: w.clone() for name, w in weights(net, step.masks).items()}
    masks = next(run).masks
    entries = [
        (name, k, float(w), float(start[name].flatten()[k].double()))
        for name, weight in end.items()
        for k, w in enumerate(weight.flatten().double().tolist())
    ]
    by_rule = sorted(entries, key=lambda e: abs(e[2]))[: round(0.3 * PRUNABLE) - round(0.1 * PRUNABLE)]
    left = [e for e in entries if e not in by_rule and e[2] < 0]
    gone = by_rule + sorted(left, key=lambda e: abs(e[2] - e[3]))[: round(0.1 * PRUNABLE)]
    expected = {(name, k) for name, k, _, _ in gone}
    assert {(n, k) for n, m in masks.items() for k in (~m).flatten().nonzero().flatten().tolist()} == expected


def test_retraining_between_splits_each_cycle():
    net = network()
    run = ActivateWhilePruning(net, LAMP(), rate=0.2, share=0.05, cycles=3, retrain_between=True)
    seen, seeds, n = [], set(), PRUNABLE
    for step in run:
        seen.append((step.cycle, step.round, step.rounds, step.masks.alive))
        seeds.add(step.seed)
        train(net)
    m = n - round(0.2 * n)
    after_rule = [n - round(0.2 * n) + round(0.05 * n), m - round(0.2 * m) + round(0.05 * m)]
    assert seen == [(0, 1, 1, n), (1, 1, 2, after_rule[0]), (1, 2, 2, m), (2, 1, 2, after_rule[1]),
                    (2, 2, 2, m - round(0.2 * m))]  # fmt: skip
    assert len(seeds) == 5
    assert [r.removed_by["selection"] for r in run.history.reports] == [0, 0, round(0.05 * n), 0, round(0.05 * m)]


def test_skipped_layers_are_left_alone():
    net = network()
    for step in IterativePruning(net, Magnitude(), rate=0.5, cycles=3, skip=("first", "last")):
        assert list(step.masks) == ["4.weight"]
    assert Masks.of(net)["0.weight"].all() and Masks.of(net)["4.weight"].sum() == 60


# --- one model, rewound ----------------------------------------------------------------------------------------------


def test_the_model_and_its_parameters_are_the_same_objects_throughout():
    net = network()
    before = list(net.parameters())
    run = IterativePruning(net, Magnitude(), cycles=3)
    order = None
    for step in run:
        assert step.model is net and {id(p) for p in net.parameters()} == {id(p) for p in before}
        order = order or [id(p) for p in net.parameters()]
        assert [id(p) for p in net.parameters()] == order
        assert all(p.grad is None for p in net.parameters())
        train(net)


def rewinds(run_type):
    """Check that at each step everything but the masks is as in the beginning, statistics included."""
    net = network()
    first = plain_names(net)
    for step in run_type(net):
        now = plain_names(step.model)
        for name, value in first.items():
            assert torch.equal(now[name], value), name
        train(step.model, seed=step.cycle)


def test_everything_is_rewound_in_every_cycle():
    rewinds(lambda net: IterativePruning(net, Magnitude(), cycles=4))

    class Handed:
        def __init__(self, model):
            self.cycle, self.model = 0, model

    def aliased(net):
        """The stored biases become the trained ones after the first rewinding."""
        stored = {name: p.detach().clone() for name, p in net.named_parameters()}
        statistics = {name: b.clone() for name, b in net.named_buffers()}
        for _ in range(4):
            yield Handed(net)
            for name, p in net.named_parameters():
                p.data = stored[name]
            for name, b in net.named_buffers():
                b.copy_(statistics[name])

    def parameters_only(net):
        """Running statistics of batch normalisation stay trained."""
        stored = {name: p.detach().clone() for name, p in net.named_parameters()}
        for _ in range(4):
            yield Handed(net)
            with torch.no_grad():
                for name, p in net.named_parameters():
                    p.copy_(stored[name])

    with pytest.raises(AssertionError, match=r"weight|bias"):
        rewinds(aliased)
    with pytest.raises(AssertionError, match="running"):
        rewinds(parameters_only)


def test_rewinding_to_an_early_state():
    net = network()
    run = IterativePruning(net, Magnitude(), cycles=3, rewind="early")
    for step in run:
        if step.cycle == 0:
            train(net, 2)
            run.save_early()
            early = plain_names(net)
            train(net, 3)
        else:
            now = plain_names(net)
            assert all(torch.equal(now[name], value) for name, value in early.items() if "mask" not in name)
            train(net)


def test_no_rewinding_goes_on_from_the_trained_values():
    net = network()
    trained = None
    for step in IterativePruning(net, Magnitude(), cycles=3, rewind=None):
        if trained is not None:
            assert all(torch.equal(p, trained[name]) for name, p in net.named_parameters())
        train(step.model)
        trained = {name: p.detach().clone() for name, p in net.named_parameters()}


@pytest.mark.parametrize("rewind", ["init", None])
def test_early_states_are_kept_only_where_they_count(rewind):
    run = IterativePruning(network(), Magnitude(), cycles=2, rewind=rewind)
    with pytest.raises(RuntimeError, match=r"save_early.*expected in the training of cycle 0"):
        run.save_early()
    run = IterativePruning(network(), Magnitude(), cycles=2, rewind="early")
    with pytest.raises(RuntimeError, match="nothing was kept to rewind to"):
        list(run)


# --- pruned weights stay pruned --------------------------------------------------------------------------------------


def stays_zero(cycle):
    """Check that what was 0 after pruning is 0 after each of 20 further steps, with one optimizer all along."""
    for zero, now in cycle(network()):
        for name, was_zero in zero.items():
            assert not now[name][was_zero].any(), name


def test_pruned_weights_stay_zero_with_a_stale_optimizer():
    def ours(net):
        run = iter(IterativePruning(net, Magnitude(), rate=0.5, cycles=2, rewind=None))
        next(run)
        optimizer = train(net, 5)
        masks = next(run).masks
        for _ in range(20):
            train(net, 1, optimizer=optimizer)
            yield {name: ~mask for name, mask in masks.items()}, weights(net, masks)

    def gradients_set_to_zero(net):
        layer = net[4]
        optimizer = train(net, 5)
        with torch.no_grad():
            layer.weight[layer.weight.abs() < layer.weight.abs().median()] = 0
        zero = layer.weight.detach() == 0
        layer.weight.register_hook(lambda g: g * (layer.weight != 0))
        for _ in range(20):
            train(net, 1, optimizer=optimizer)
            yield {"4.weight": zero}, {"4.weight": layer.weight.detach()}

    stays_zero(ours)
    with pytest.raises(AssertionError):
        stays_zero(gradients_set_to_zero)


def pool_is(candidates, net):
    """Check what is counted as prunable: weights of linear layers and convolutions, each once."""
    assert sum(candidates(net).values()) == PRUNABLE


def test_norms_are_not_prunable_and_no_weight_counts_twice():
    def ours(net):
        run = IterativePruning(net, Magnitude(), cycles=2)
        list(run)
        return run.history.reports[1].sizes

    def by_name(net):
        return {name: p.numel() for name, p in net.named_parameters() if "weight" in name}

    def stale_entries(net):
        sizes, last = {}, 0
        for name, p in net.named_parameters():
            last = p.numel() if "weight" in name and p.ndim > 1 else last
            sizes[name] = last
        return sizes

    pool_is(ours, network())
    for violator in (by_name, stale_entries):
        with pytest.raises(AssertionError):
            pool_is(violator, network())


def test_the_sparsity_of_a_report_is_that_of_its_training():
    run = IterativePruning(network(), Magnitude(), rate=0.5, cycles=3)
    trained_with = []
    for step in run:
        train(step.model)
        zeros = sum(int((w == 0).sum()) for w in weights(step.model, step.masks).values())
        trained_with.append(zeros / PRUNABLE)
    assert run.history.sparsity.tolist() == pytest.approx(trained_with)
    before_the_pruning = [0.0, *trained_with[:-1]]
    assert run.history.sparsity.tolist() != pytest.approx(before_the_pruning)


# --- going on after a break ------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


def make(kind, net, store, **settings):
    if kind == "iterative":
        return IterativePruning(net, Random(), rate=0.4, cycles=4, store=store, **settings)
    arguments = {"rate": 0.4, "share": 0.1, "selection": RandomNegative(), "cycles": 4, "store": store}
    return ActivateWhilePruning(net, Movement(), retrain_between=kind == "retrain", **arguments, **settings)


def drive(run, kill=None):
    for k, step in enumerate(run):
        if step.cycle == 0 and run._back == "early":
            train(step.model, 2, seed=step.seed)
            run.save_early()
        train(step.model, 4, seed=step.seed)
        step.record(first_weight=next(step.model.parameters()).detach().sum().item())
        if k == kill:
            raise Killed


@pytest.mark.parametrize(
    ("kind", "rewind", "kill"),
    [
        ("iterative", "init", 0), ("iterative", "early", 1), ("iterative", None, 3), ("activate", "init", 1),
        ("activate", "early", 3), ("activate", None, 0), ("retrain", "init", 3), ("retrain", "early", 0),
        ("retrain", None, 4),
    ],
)  # fmt: skip
def test_a_killed_run_goes_on_bit_for_bit(tmp_path, kind, rewind, kill):
    whole = network(dropout=0.3)
    drive(one := make(kind, whole, None, rewind=rewind))
    broken = network(dropout=0.3)
    with pytest.raises(Killed):
        drive(make(kind, broken, tmp_path, rewind=rewind), kill=kill)
    another = network(seed=7, dropout=0.3)  # what is in it does not matter
    resumed = make(kind, another, tmp_path, rewind=rewind)
    assert len(resumed.history) == kill
    drive(resumed)
    assert same(tensors(another), tensors(whole))
    assert resumed.history.to_dict() == one.history.to_dict()
    finished = make(kind, network(), tmp_path, rewind=rewind)
    assert finished.finished and not list(finished) and same(tensors(finished.model), tensors(whole))


def test_a_state_that_is_being_written_does_not_replace_the_last_one(tmp_path, monkeypatch):
    whole, broken = network(), network()
    drive(make("activate", whole, None))
    run = make("activate", broken, tmp_path)
    steps = iter(run)
    step = next(steps)
    train(step.model, 4, seed=step.seed)

    def killed(state, path):
        path.write_bytes(b"half")
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", killed)
        with pytest.raises(Killed):
            next(steps)
    drive(make("activate", broken := network(), tmp_path))
    assert same(tensors(broken), tensors(whole))


def test_a_loop_that_was_left_begins_again_with_the_same_step():
    a, b = network(), network()
    drive(make("activate", a, None))
    run = make("activate", b, None)
    for _ in range(3):
        with pytest.raises(Killed):
            drive(run, kill=0)
    drive(run)
    assert same(tensors(a), tensors(b))


def test_state_dicts_are_the_state():
    a, b = network(), network(seed=5)
    run = make("activate", a, None)
    with pytest.raises(Killed):
        drive(run, kill=2)
    state = copy.deepcopy(run.state_dict())
    drive(run)
    other = make("activate", b, None)
    other.load_state_dict(state)
    drive(other)
    assert same(tensors(a), tensors(b))


def test_another_run_in_the_folder_is_an_error(tmp_path):
    list(IterativePruning(network(), Magnitude(), rate=0.2, cycles=2, store=tmp_path))
    with pytest.raises(ValueError, match=r"got rate 0.3, but the run that was kept had 0.2"):
        IterativePruning(network(), Magnitude(), rate=0.3, cycles=2, store=tmp_path)
    net = network()
    with pytest.raises(ValueError, match=r"got rule LAMP\(\)"):
        IterativePruning(net, LAMP(), rate=0.2, cycles=2, store=tmp_path)
    assert list(net.state_dict()) == list(network().state_dict())
    with pytest.raises(
        ValueError, match="got run ActivateWhilePruning, but the run that was kept had IterativePruning"
    ):
        ActivateWhilePruning(network(), Magnitude(), rate=0.2, cycles=2, store=tmp_path)
    with pytest.raises(ValueError, match=r"tensor '0.*has shape"):
        IterativePruning(nn.Sequential(nn.Linear(6, 21)), Magnitude(), rate=0.2, cycles=2, store=tmp_path)


def test_a_selection_that_has_too_few_candidates_stops_the_run_where_it_was():
    net = network()
    run = ActivateWhilePruning(net, Magnitude(), rate=0.5, share=0.5, cycles=3)
    with torch.no_grad():
        for weight in originals(net, Masks.of(net)).values():
            weight.abs_()
    run = ActivateWhilePruning(net, Magnitude(), rate=0.5, share=0.5, cycles=3)
    steps = iter(run)
    next(steps)
    with pytest.raises(ValueError, match="only 0 "):
        next(steps)
    assert not run.finished and len(run.history) == 0 and next(iter(run)).cycle == 0


# --- reports ---------------------------------------------------------------------------------------------------------


def test_reports_follow_the_model_until_the_step_is_over():
    calls = []

    def measure(model):
        calls.append(float(originals(model, ["0.weight"])["0.weight"].detach()[0, 0]))

    run = IterativePruning(network(), Magnitude(), cycles=2, measure=measure)
    ends = []
    for step in run:
        assert step.report.dead is None and len(calls) % 2 == 1
        train(step.model)
        ends.append(float(originals(step.model, ["0.weight"])["0.weight"].detach()[0, 0]))
        step.record(accuracy=0.5)
        assert step.report.values == {"accuracy": 0.5} and step.report.values == {"accuracy": 0.5}
        assert len(calls) % 2 == 0 and calls[-1] == ends[-1]
    assert len(calls) == 4
    with pytest.raises(RuntimeError, match="a step that is over"):
        step.record(accuracy=1)
    assert step.report is run.history.reports[1]


def test_history_of_counts_and_values():
    run = IterativePruning(network(), Magnitude(), rate=0.5, cycles=3)
    for step in run:
        if step.cycle:
            step.record(accuracy=step.cycle / 4)
    history = run.history
    assert history.cycles.tolist() == [0, 1, 2] and history.layers == ("0.weight", "4.weight", "6.weight")
    assert history.value("accuracy").tolist()[1:] == [0.25, 0.5] and np.isnan(history.value("accuracy")[0])
    sizes = np.array([120, 240, 24])
    assert (history.layer_sparsity.T @ sizes / 384).tolist() == pytest.approx(history.sparsity.tolist())
    assert history.sparsity.tolist() == [0, 0.5, 0.75]
    assert type(history).from_dict(history.to_dict()).to_dict() == history.to_dict()
    with pytest.raises(KeyError, match="got 'loss', expected one of"):
        history.value("loss")
    with pytest.raises(ValueError, match="were not measured"):
        history.rate("total")
    text = str(history)
    assert "accuracy 0.25" in text and "alive 192" in text and "rate 0.5" in text


def test_dead_neurons_of_each_cycle(tmp_path):
    """The history has what `dead_neurons` gives on the model as it was at the end of each training."""
    loader, expected = list(X.split(30)), []
    run = ActivateWhilePruning(network(), Magnitude(), rate=0.5, share=0.1, cycles=4, measure=loader, store=tmp_path)
    for step in run:
        train(step.model, seed=step.seed)
        assert step.report.dead.samples == 64 and "silent" in str(step.report)
        expected.append(dead_neurons(step.model, loader))
    history = ActivateWhilePruning(
        network(), Magnitude(), rate=0.5, share=0.1, cycles=4, measure=loader, store=tmp_path
    ).history
    assert history.sites == ("2/relu#1", "5/relu#1")
    for name in ("total", "static", "dynamic", "silent"):
        assert history.rate(name).tolist() == [found.rate(name, "pooled") for found in expected]
        assert history.site_rates(name).T.tolist() == [found.rate(name).tolist() for found in expected]
    assert history.to_dict() == run.history.to_dict()
    assert (history.rate("total") == pytest.approx(history.rate("static") + history.rate("dynamic"))) and (
        np.diff(history.rate("static")) >= 0
    ).all()
    assert [row["dynamic"] for row in history.table()] == history.rate("dynamic").tolist()


def test_history_is_drawn():
    run = IterativePruning(network(), Magnitude(), rate=0.5, cycles=3, measure=[X])
    for step in run:
        step.record(accuracy=0.5)
    curves, image = run.history.plot(quantity="dynamic"), run.history.heat_map("static")
    assert curves.history.to_dict() == run.history.to_dict() and curves.quantity == "dynamic"
    assert np.array_equal(image.artists["image"].get_array(), run.history.site_rates("static"))


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "message"),
    [
        (IterativePruning, {"rule": Magnitude}, TypeError, r"rule=.*Did you mean `Magnitude\(\)`"),
        (IterativePruning, {"rule": Magnitude(), "rate": 1.0}, ValueError, r"rate=.*got 1.0, expected a number in \(0"),
        (IterativePruning, {"rule": Magnitude(), "cycles": 0}, ValueError, "cycles=.*got 0, expected a whole number"),
        (IterativePruning, {"rule": Magnitude(), "seed": -1}, ValueError, "seed=.*got -1"),
        (IterativePruning, {"rule": Magnitude(), "rewind": "late"}, ValueError, "rewind=.*got 'late'"),
        (IterativePruning, {"rule": Magnitude(), "scope": "local"}, ValueError, "scope=.*got 'local', expected one of"),
        (
            IterativePruning,
            {"rule": SNIP(), "data": []},
            ValueError,
            r"rule=SNIP\(\)\)`: got no loss, but the",
        ),
        (ActivateWhilePruning, {"selection": ActivateOnData([])}, ValueError, "selection=.*got no data and loss"),
        (ActivateWhilePruning, {"share": 0.3}, ValueError, "share=.*got 0.3, expected a number from 0 to the rate 0.2"),
        (ActivateWhilePruning, {"selection": "negative"}, TypeError, "selection=.*got 'negative'"),
    ],
)
def test_bad_arguments(kind, arguments, error, message):
    net = network()
    before = list(net.state_dict())
    with pytest.raises(error, match=message):
        kind(net, **arguments)
    assert list(net.state_dict()) == before


def test_a_model_that_changed_its_form_is_named():
    net = network()
    run = iter(IterativePruning(net, Magnitude(), cycles=2))
    next(run)
    net.add_module("extra", nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"'extra.bias' has shape"):
        next(run)
