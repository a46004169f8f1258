"""Pruning of any torch model, and the units that it leaves dead.

Measure
    `dead_neurons` counts, for every activation of a model, the units that do not fire on given data, and says which of
    them cannot.
Prune
    `prune` takes the lowest weights by a `Rule`. Masks are torch parametrizations, so that what is pruned is exactly 0
    whatever an optimizer does.
Prune in cycles
    `IterativePruning` and `ActivateWhilePruning` hand out a model to train again and again.
Understand
    `sensitivity`, `decompose` and `predict_dead_rate`.
"""

from scatter_theory.pruning._batch_norm import set_dead_rate
from scatter_theory.pruning._change import DeadNeuronChange, decompose
from scatter_theory.pruning._prune import prune
from scatter_theory.pruning._sensitivity import Sensitivity, sensitivity
from scatter_theory.pruning.cycles._activate import ActivateWhilePruning
from scatter_theory.pruning.cycles._history import CycleReport, History
from scatter_theory.pruning.cycles._iterative import IterativePruning
from scatter_theory.pruning.cycles._step import Step
from scatter_theory.pruning.dead._dead_neurons import DeadNeurons
from scatter_theory.pruning.dead._intervals import never_fired_limit
from scatter_theory.pruning.dead._measure import dead_neurons
from scatter_theory.pruning.dead._predict import predict_dead_rate
from scatter_theory.pruning.dead._prediction import DeadRatePrediction, SitePrediction
from scatter_theory.pruning.dead._rates import RATES
from scatter_theory.pruning.masks._mask import Mask
from scatter_theory.pruning.masks._masks import Masks, originals, remove, weights
from scatter_theory.pruning.masks._prunable import prunable
from scatter_theory.pruning.masks._torch_masks import from_torch, to_torch
from scatter_theory.pruning.rules._activate import Activate
from scatter_theory.pruning.rules._activate_on_data import ActivateOnData
from scatter_theory.pruning.rules._controls import MostNegative, RandomNegative
from scatter_theory.pruning.rules._gradient import SNIP, Gradient
from scatter_theory.pruning.rules._lookahead import Lookahead
from scatter_theory.pruning.rules._lowest import prune_scores
from scatter_theory.pruning.rules._rule import RULES, Context, Rule
from scatter_theory.pruning.rules._synflow import SynFlow
from scatter_theory.pruning.rules._weights import LAMP, Magnitude, Movement, Random

__all__ = [
    "LAMP",
    "RATES",
    "RULES",
    "SNIP",
    "Activate",
    "ActivateOnData",
    "ActivateWhilePruning",
    "Context",
    "CycleReport",
    "DeadNeuronChange",
    "DeadNeurons",
    "DeadRatePrediction",
    "Gradient",
    "History",
    "IterativePruning",
    "Lookahead",
    "Magnitude",
    "Mask",
    "Masks",
    "MostNegative",
    "Movement",
    "Random",
    "RandomNegative",
    "Rule",
    "Sensitivity",
    "SitePrediction",
    "Step",
    "SynFlow",
    "dead_neurons",
    "decompose",
    "from_torch",
    "never_fired_limit",
    "originals",
    "predict_dead_rate",
    "prunable",
    "prune",
    "prune_scores",
    "remove",
    "sensitivity",
    "set_dead_rate",
    "to_torch",
    "weights",
]
