"""Search for worst cases, used by every verifier."""

from scatter_theory.search._candidates import atoms, beats, modulated, noise, spikes, structured, tone, tones, unit_rms
from scatter_theory.search._maximise import Attack, Effort, maximise

__all__ = [
    "Attack",
    "Effort",
    "atoms",
    "beats",
    "maximise",
    "modulated",
    "noise",
    "spikes",
    "structured",
    "tone",
    "tones",
    "unit_rms",
]
