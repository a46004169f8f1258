"""How a study ends that somebody interrupts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence


def status(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """What ``main(argv)`` returns; when it is interrupted, 130, and a sentence instead of a traceback."""
    try:
        return main(argv)
    except KeyboardInterrupt:
        print("Interrupted; the same command continues where it was.", file=sys.stderr)
        return 130
