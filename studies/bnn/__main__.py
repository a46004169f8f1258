"""``python studies/bnn``: the study on Fashion-MNIST; with ``--data cifar10`` and the like a published recipe."""

from __future__ import annotations

import sys
from itertools import pairwise

from studies.bnn import cifar, study
from studies.shared.ending import status

RECIPES = ("cifar10", "cifar100", "imagenet")


def wants_recipe(argv: list[str]) -> bool:
    """Whether ``--data`` names a data set of the recipes and no folder."""
    named = [a.removeprefix("--data=") for a in argv if a.startswith("--data=")]
    named += [b for a, b in pairwise(argv) if a == "--data"]
    return any(name in RECIPES for name in named)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(status((cifar if wants_recipe(arguments) else study).main, arguments))
