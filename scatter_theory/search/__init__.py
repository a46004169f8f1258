"""Search for worst cases, used by every verifier."""

from scatter_theory.search._candidates import (
    atoms,
    beats,
    carried,
    modulated,
    noise,
    spikes,
    structured,
    tone,
    tones,
    unit_rms,
)
from scatter_theory.search._extremisers import ModulatedPair, Modulations, am_pairs
from scatter_theory.search._maximise import Attack, Effort, maximise

__all__ = [
    "Attack",
    "Effort",
    "ModulatedPair",
    "Modulations",
    "am_pairs",
    "atoms",
    "beats",
    "carried",
    "maximise",
    "modulated",
    "noise",
    "spikes",
    "structured",
    "tone",
    "tones",
    "unit_rms",
]
