"""``python studies/certificates``: bounds of trained networks on Fashion-MNIST."""

import sys

from studies.certificates import study

if __name__ == "__main__":
    sys.exit(study.main(sys.argv[1:]))
