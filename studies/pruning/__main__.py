"""``python studies/pruning``: the study on Fashion-MNIST; with ``--data cifar10`` the published recipe."""

from __future__ import annotations

import sys
from itertools import pairwise

from studies.pruning import cifar, study
from studies.shared.ending import status


def wants_recipe(argv: list[str]) -> bool:
    """Whether ``--data`` names the data set of the recipe and no folder."""
    return "--data=cifar10" in argv or ("--data", "cifar10") in pairwise(argv)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(status((cifar if wants_recipe(arguments) else study).main, arguments))
