"""``python studies/literature``: experiments of the literature, part by part."""

import sys

from studies.literature import study
from studies.shared.ending import status

if __name__ == "__main__":
    sys.exit(status(study.main, sys.argv[1:]))
