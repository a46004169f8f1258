"""``python studies/learned``: fixed, learned and unconstrained frames on Fashion-MNIST."""

from __future__ import annotations

import sys

from studies.learned import study
from studies.shared.ending import status

if __name__ == "__main__":
    sys.exit(status(study.main, sys.argv[1:]))
