"""``python studies/certificates``: bounds of trained networks on Fashion-MNIST."""

import sys

from studies.certificates import study
from studies.shared.ending import status

if __name__ == "__main__":
    sys.exit(status(study.main, sys.argv[1:]))
