"""The table of theorems is complete and says something in every field."""

import dataclasses
import subprocess
import sys

import pytest

from scatter_theory.theory import THEOREMS

KEYS = {
    "frame", "admissibility", "lipschitz", "energy", "remainder", "getter", "decay_rate", "covariance", "translation",
    "translation_posteriori", "full_covariance", "nonlinearity", "pooling", "deformation_band_limited",
    "translation_sharp", "decay_sharp", "deformation_network", "deformation_oscillation",
    "deformation_gradient", "deformation_sobolev", "deformation_lipschitz", "deformation_cartoon",
}  # fmt: skip
VERIFIERS = {
    "frame", "admissibility", "lipschitz", "energy", "covariance", "translation", "deformation", "decay",
    "nonlinearity", "pooling",
}  # fmt: skip


def test_keys():
    assert set(THEOREMS) == KEYS
    assert all(theorem.key == key for key, theorem in THEOREMS.items())
    assert {theorem.verifier for theorem in THEOREMS.values()} == VERIFIERS


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_field_speaks(key):
    theorem = THEOREMS[key]
    assert theorem.hypotheses and all(theorem.hypotheses)
    assert all(getattr(theorem, f.name) for f in dataclasses.fields(theorem))
    assert theorem.statement.count("{") == theorem.statement.count("}")
    for part in (theorem.title, theorem.statement, *theorem.hypotheses, theorem.source, theorem.on_grid):
        assert part in str(theorem)


def test_the_table_is_read_only():
    with pytest.raises(TypeError):
        THEOREMS["frame"] = None
    with pytest.raises(dataclasses.FrozenInstanceError):
        THEOREMS["frame"].title = ""


def test_theory_imports_nothing_of_the_package_but_itself():
    """Loaded from its folder alone, without the rest of the package and without torch."""
    code = (
        "import sys, types, scatter_theory.theory as t\n"
        "others = {m for m in sys.modules if m.startswith('torch')}\n"
        "assert not others, others\n"
    )
    stub = "import sys, types\npackage = types.ModuleType('scatter_theory')\npackage.__path__ = [sys.argv[1]]\n"
    stub += "sys.modules['scatter_theory'] = package\n"
    import scatter_theory

    folder = scatter_theory.__path__[0]
    result = subprocess.run([sys.executable, "-c", stub + code, folder], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
