"""Measures that workers of the sweep tests import by their path."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import torch

import scatter_theory as st

QUICK = st.verify.Effort(random=2, structured=8, steps=2, restarts=1)


def arithmetic(configuration, seed):
    """Numbers that follow from the configuration and the seed; `n = 13` fails."""
    if configuration["n"] == 13:
        raise RuntimeError("the cell with n = 13 fails")
    draw = np.random.default_rng(seed).standard_normal(3)
    return {"square": configuration["n"] ** 2, "draw": float(draw[0]), "witness": {"draw": draw, "seed": seed}}


def pause(configuration, seed):
    """As `arithmetic`, after a while."""
    time.sleep(configuration["seconds"])
    return arithmetic(configuration, seed)


def mixed(configuration, seed):
    """A check, or a worker that dies while the file `marker` does not exist."""
    marker = Path(configuration["marker"]) if "marker" in configuration else None
    if marker is not None and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if configuration["n"] == 13:
        raise RuntimeError("the cell with n = 13 fails")
    layer = st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Subsample(2))
    phi = st.FeatureExtractor([layer], st.Grid.line(16))
    return st.verify.lipschitz(phi, effort=QUICK, generator=seed)


def deadly(configuration, seed):
    """`n = 0` kills its worker every time."""
    if configuration["n"] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"square": configuration["n"] ** 2}


def threads(configuration, seed):
    """Torch's threads on the worker."""
    return {"threads": torch.get_num_threads()}


def violated(configuration, seed):
    """A verdict that the exit code must show."""
    return {"outcome": "VIOLATED", "ratio": 2.0}
