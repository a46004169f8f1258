"""``python studies/literature``: experiments of the literature, part by part."""

import sys

from studies.literature import study

if __name__ == "__main__":
    sys.exit(study.main(sys.argv[1:]))
