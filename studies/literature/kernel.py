"""Support vector machines with the kernel exp(-gamma |x - y|^2), both constants by cross-validation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from studies.literature.images import BATCH, Fit, standardised

#: Gamma in units of one over the median squared distance between training images, and the price of a slack.
MULTIPLES = (0.125, 0.25, 0.5, 1.0, 2.0)
COSTS = (1.0, 10.0, 100.0)
FOLDS = 5
#: At most so many training images choose both, the first ones.
CHOOSING = 5_000
#: What a choice depends on, for the settings of a measurement.
CONSTANTS = {"gammas": MULTIPLES, "costs": COSTS, "folds": FOLDS, "choosing": CHOOSING}


def rbf(features: Tensor, labels: Tensor, train: int) -> Fit:
    """A support vector machine on standardised features, one against one, by scikit-learn.

    Gamma and cost are those with the fewest wrong answers in five folds of the first 5,000 training images; of equals
    the smallest cost, then the smallest gamma. The i-th image is in fold ``i % 5``, so that their order should be
    random. Means, scales and the median are those of all training images.

    Parameters
    ----------
    features : (count, n) tensor
        Of all images, the training images first.
    labels : (count,) tensor
        Whole numbers from 0 on.
    train : int
        Training images.

    Returns
    -------
    Fit
        Its choices are ``"gamma"``, in units of one over the median squared distance, and ``"cost"``.
    """
    from sklearn.svm import SVC

    x, y, n = standardised(features, train), labels.numpy(), train
    apart = _squared_distances(x[:n], x[:n])
    few = min(n, CHOOSING)
    unit = float(apart[:few, :few][*torch.triu_indices(few, few, 1)].median())
    gamma, cost, validation = _chosen(apart[:few, :few] / unit, y[:few])
    machine = SVC(C=cost, kernel="precomputed").fit(apart.mul_(-gamma / unit).exp_().numpy(), y[:n])
    answers = [
        machine.predict(_squared_distances(part, x[:n]).mul_(-gamma / unit).exp_().numpy())
        for part in x[n:].split(BATCH)
    ]
    return Fit(torch.from_numpy(np.concatenate(answers) != y[n:]), validation, {"gamma": gamma, "cost": cost})


def _chosen(apart: Tensor, labels: np.ndarray) -> tuple[float, float, float]:
    """Multiple, cost and error in per cent that are best in cross-validation, from distances in units of the median."""
    from sklearn.svm import SVC

    folds = np.arange(len(labels)) % FOLDS
    misses = dict.fromkeys(((cost, multiple) for multiple in MULTIPLES for cost in COSTS), 0)
    for multiple in MULTIPLES:
        kernel = torch.exp(-multiple * apart).numpy()
        for held in range(FOLDS):
            rest, out = np.flatnonzero(folds != held), np.flatnonzero(folds == held)
            train, test = kernel[np.ix_(rest, rest)].astype(np.float64), kernel[np.ix_(out, rest)]
            for cost in COSTS:
                machine = SVC(C=cost, kernel="precomputed").fit(train, labels[rest])
                misses[cost, multiple] += int((machine.predict(test) != labels[out]).sum())
    cost, multiple = min(misses, key=lambda pair: (misses[pair], pair))
    return multiple, cost, 100 * misses[cost, multiple] / len(labels)


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    products = x @ y.T
    products.mul_(-2).add_((x * x).sum(1)[:, None]).add_((y * y).sum(1)[None])
    return products.clamp_min_(0)
