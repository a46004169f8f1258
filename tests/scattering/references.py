"""Signals given by formulas, and coefficients that kymatio 0.3.0 has for them.

`data/kymatio.json` is written by ``PYTHONPATH=tests:. python -m scattering.references``, where kymatio is installed.
"""

import json
import warnings
from pathlib import Path

import torch

FILE = Path(__file__).with_name("data") / "kymatio.json"
#: Name, dimension and arguments of each transform.
CASES = {
    "line": (1, {"J": 3, "shape": 40, "Q": 2}),
    "line, averaged over 10 samples": (1, {"J": 4, "shape": 50, "Q": (3, 2), "T": 10, "max_order": 2}),
    "line, oversampled": (1, {"J": 4, "shape": 32, "oversampling": 1}),
    "line, not averaged": (1, {"J": 3, "shape": 16, "T": 0, "max_order": 1, "out_type": "list"}),
    "plane": (2, {"J": 2, "shape": (11, 14), "L": 2}),
    "plane, order 1": (2, {"J": 1, "shape": (8, 6), "L": 3, "max_order": 1}),
}


def signal(shape):
    """A chirp with a jump, float64."""
    shape = (shape,) if isinstance(shape, int) else shape
    phase = sum((k + 1) * torch.arange(n, dtype=torch.float64).reshape([-1 if a == k else 1 for a in range(len(shape))])
                for k, n in enumerate(shape))  # fmt: skip
    return torch.sin(0.05 * phase**1.5) + (phase > phase.max() / 2)


def flat(output):
    """All coefficients in one line, path after path."""
    values = [c["coef"] for c in output] if isinstance(output, list) else [output]
    return torch.cat([v.flatten() for v in values])


def write():
    """Compute the file anew."""
    from scatter_theory.adapters import kymatio

    make = {1: kymatio.scattering1d, 2: kymatio.scattering2d}
    warnings.simplefilter("ignore")
    found = {}
    for name, (d, options) in CASES.items():
        options = {k if k != "shape" or d == 2 else "length": v for k, v in options.items()}
        found[name] = [float(f"{v:.7g}") for v in flat(make[d](**options)(signal(CASES[name][1]["shape"])))]
    FILE.write_text(json.dumps(found, indent=0).replace(",\n", ", ") + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
