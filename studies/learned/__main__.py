"""``python studies/learned``: fixed, learned and unconstrained frames on Fashion-MNIST."""

from __future__ import annotations

import sys

from studies.learned import study

if __name__ == "__main__":
    sys.exit(study.main())
