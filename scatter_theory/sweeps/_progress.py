"""How far a long computation is: one line that is rewritten on a terminal, a line per tenth otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO


class Progress:
    """Counts and remaining time on standard error.

    Parameters
    ----------
    what : str
        Plural of what is counted.
    total, done : int
        All of them, and those finished before.
    shown : bool
        Whether anything is written.
    stream : text stream, optional
        Default: standard error.
    clock : callable
        Seconds; replaced in tests.
    """

    def __init__(
        self,
        what: str,
        total: int,
        done: int = 0,
        *,
        shown: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.what, self.total, self.done, self.before = what, total, done, done
        self.shown, self.stream, self.clock = shown, stream if stream is not None else sys.stderr, clock
        self.started = clock()
        self.live = bool(getattr(self.stream, "isatty", lambda: False)())

    def step(self, note: str = "") -> None:
        """One more is finished; `note` is added to the line."""
        self.done += 1
        tenth = self.total / 10
        if not self.live and self.done < self.total and self.done // tenth == (self.done - 1) // tenth:
            return
        rate = (self.clock() - self.started) / (self.done - self.before)
        left = duration(rate * (self.total - self.done))
        parts = [f"{self.done} of {self.total} {self.what}", note, f"about {left} left"]
        end = "\n" if not self.live or self.done == self.total else ""
        self.say(("\r" if self.live else "") + ", ".join(filter(None, parts)).ljust(78) + end)

    def say(self, text: str) -> None:
        """Write a text as it is."""
        if self.shown:
            self.stream.write(text)
            self.stream.flush()


def duration(seconds: float) -> str:
    """At most two units, rounded down.

    Examples
    --------
    >>> duration(59.6), duration(3700), duration(200_000)
    ('60 s', '1 h 1 min', '2 d 7 h')
    """
    s = round(seconds)
    if s < 120:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min {s % 60} s"
    if s < 48 * 3600:
        return f"{s // 3600} h {s % 3600 // 60} min"
    return f"{s // 86400} d {s % 86400 // 3600} h"
