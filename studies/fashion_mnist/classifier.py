"""One-vs-all ridge on standardised features, and paired comparisons of error rates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: Half decades from 1 to 1e4.
PENALTIES = tuple(10.0 ** (0.5 * i) for i in range(9))
CLASSES = 10
#: 95 % quantile of the normal distribution: the one-sided upper limit.
QUANTILE = 1.6448536269514722


def transformed(features: Tensor, kind: str) -> Tensor:
    """Features as they are (``"linear"``) or their square root, negative values set to zero first (``"sqrt"``)."""
    return features.clamp_min(0.0).sqrt() if kind == "sqrt" else features


@dataclass(frozen=True, eq=False)
class Standardised:
    """Normal equations of a training set, with its means and scales."""

    mean: Tensor
    scale: Tensor
    gram: Tensor
    moment: Tensor
    prior: Tensor

    @classmethod
    def of(cls, features: Tensor, labels: Tensor) -> Standardised:
        """The equations of features (images, features) and their labels (images,)."""
        x = features.to(torch.float64, copy=True)
        mean, deviation = x.mean(0), x.std(0)
        scale = torch.where(deviation > 1e-9, deviation, torch.inf)
        z = x.sub_(mean).div_(scale)
        y = torch.nn.functional.one_hot(labels, CLASSES).double()
        prior = y.mean(0)
        return cls(mean, scale, z.T @ z, z.T @ (y - prior), prior)

    def predict(self, features: Tensor, penalty: float) -> Tensor:
        """Classes of the features, for weights of the given penalty."""
        gram = self.gram.clone()
        gram.diagonal().add_(penalty)
        weights = torch.cholesky_solve(self.moment, torch.linalg.cholesky(gram))
        weights = weights / self.scale[:, None]
        offset = self.prior - self.mean @ weights
        return torch.cat([(part.double() @ weights + offset).argmax(1) for part in features.split(10_000)])


def errors(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor) -> tuple[Tensor, float]:
    """Wrong predictions on `test` (bool), and the penalty: best on the last sixth of `train`, refitted on all."""
    head = len(train) - len(train) // 6
    part = Standardised.of(train[:head], train_labels[:head])
    misses = [int((part.predict(train[head:], p) != train_labels[head:]).sum()) for p in PENALTIES]
    penalty = PENALTIES[misses.index(min(misses))]
    del part
    whole = Standardised.of(train, train_labels)
    return whole.predict(test, penalty) != test_labels, penalty


@dataclass(frozen=True)
class Comparison:
    """Error rates in per cent, and their difference with its standard error, paired over images."""

    error: float
    reference: float
    difference: float
    standard_error: float

    @classmethod
    def of(cls, wrong: Tensor, reference: Tensor) -> Comparison:
        """Compare two vectors of wrong predictions on the same images."""
        gap = 100.0 * (wrong.double() - reference.double())
        return cls(
            100.0 * float(wrong.double().mean()),
            100.0 * float(reference.double().mean()),
            float(gap.mean()),
            float(gap.std()) / math.sqrt(len(gap)),
        )

    @property
    def upper(self) -> float:
        """One-sided 95 % upper limit of the difference."""
        return self.difference + QUANTILE * self.standard_error
