"""C sources that are compiled on first use where there is a compiler, and kept in the user's cache folder.

A library is kept per source, command and processor. Only folders that belong to the user are read, so that nobody
else's library is loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

#: For passes over numbers that may be NaN or infinite, whose sums may be reordered.
PASS_FLAGS = (
    "-O3", "-march=native", "-fno-math-errno", "-fno-signed-zeros", "-fno-trapping-math", "-fassociative-math",
    "-shared", "-fPIC",
)  # fmt: skip

_disabled = False


@contextmanager
def without_kernels() -> Iterator[None]:
    """Run a block with torch operations only."""
    global _disabled
    before, _disabled = _disabled, True
    try:
        yield
    finally:
        _disabled = before


def switched_off() -> bool:
    """Whether a block `without_kernels` runs."""
    return _disabled


def compiled(source: Path, flags: Sequence[str]) -> ctypes.CDLL | None:
    """The shared library of a C source; None without a compiler or where it fails.

    Parameters
    ----------
    source : Path
        May include the headers beside it.
    flags : sequence of str
        Passed to the compiler, ``-shared -fPIC`` among them.
    """
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
    if compiler is None:
        return None
    command = [compiler, *flags, str(source)]
    text = b"".join(file.read_bytes() for file in (source, *sorted(source.parent.glob("*.h"))))
    key = hashlib.sha256(" ".join(command).encode() + text + _processor().encode()).hexdigest()[:24]
    for folder in (_cache_folder(), Path(tempfile.gettempdir()) / f"scatter_theory-{_user()}"):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid != _user():
                continue
            path = folder / f"kernels-{key}.so"
            if not path.exists():
                with tempfile.TemporaryDirectory(dir=folder) as build:
                    made = Path(build) / path.name
                    subprocess.run([*command, "-o", str(made), "-lm"], check=True, capture_output=True)
                    made.replace(path)
            return ctypes.CDLL(str(path))
        except (OSError, subprocess.CalledProcessError):
            continue
    return None


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scatter_theory"


def _user() -> int:
    """The user's number; 0, as in the files' own records, where there are no users."""
    return os.getuid() if hasattr(os, "getuid") else 0


def _processor() -> str:
    """What `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())
