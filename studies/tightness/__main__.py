"""``python studies/tightness``: how near searches come to the bounds, over the whole matrix of networks."""

import sys

from studies.shared.ending import status
from studies.tightness import study

if __name__ == "__main__":
    sys.exit(status(study.main, sys.argv[1:]))
