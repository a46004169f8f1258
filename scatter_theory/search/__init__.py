"""Search for worst cases, used by every verifier."""

from scatter_theory.search._candidates import atoms, beats, noise, spikes, structured, tone, tones, unit_rms
from scatter_theory.search._maximise import Attack, Effort, maximise
from scatter_theory.search._random import Seed, seeded

__all__ = [
    "Attack",
    "Effort",
    "Seed",
    "atoms",
    "beats",
    "maximise",
    "noise",
    "seeded",
    "spikes",
    "structured",
    "tone",
    "tones",
    "unit_rms",
]
