"""Stored worst cases stand, and tampering with any part of them is found."""

import sqlite3

import numpy as np
import pytest

import scatter_theory as st
from scatter_theory.sweeps import StoreError
from scatter_theory.sweeps._record import from_json, pack_witness, to_json, unpack_witness
from scatter_theory.sweeps._store import read

SPACE = {
    "grid": {"shape": [32]}, "frame": {"kind": "Wavelets", "J": 2}, "nonlinearity": "Modulus",
    "pooling": {"kind": "Subsample", "factor": 2}, "depth": 2,
    "options": {"effort": {"random": 2, "structured": 8, "steps": 1, "restarts": 1}},
}  # fmt: skip


def swept(path, measure, **options):
    return st.sweep({**SPACE, "options": {**SPACE["options"], **options}}, measure, store=path, progress=False)


def changed(path, column, change):
    """Replace a column of the only row."""
    (row,) = read(path).values()
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE results SET {column} = ?", (change(getattr(row, column)),))
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("measure", "options"),
    [
        ("translation", {}),
        ("translation", {"bound": "sharp"}),
        ("translation", {"bound": "full_covariance", "shifts": [0.5, 3]}),
        ("lipschitz", {}),
        ("energy", {}),
        ("energy", {"form": "remainder"}),
        ("deformation", {"sup_tau": [0.5, 1.0]}),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(map(str, value.values())) or "plain",
)
def test_worst_cases_stand_and_a_changed_value_or_signal_does_not(tmp_path, measure, options):
    path = tmp_path / "a.sqlite"
    assert swept(path, measure, **options).failed() == []
    checked = st.reverify(path, progress=False)
    (row,) = checked.rows
    assert row.agrees and checked.disagreeing == () and "1 agree, 0 do not" in str(checked)
    assert row.certificates is (True if options.get("bound") == "sharp" else None)

    original = {name: getattr(next(iter(read(path).values())), name) for name in ("result", "witness")}
    changed(path, "result", lambda text: to_json({**from_json(text), "measured": row.stored * (1 + 1e-6)}))
    assert len(st.reverify(path, progress=False).disagreeing) == 1
    changed(path, "result", lambda _: original["result"])

    def shaken(data):
        witness = unpack_witness(data)
        name = "h" if "h" in witness else "f"
        noise = np.random.default_rng(0).standard_normal(witness[name].shape)
        return pack_witness({**witness, name: witness[name] + 0.1 * np.abs(witness[name]).max() * noise})

    changed(path, "witness", shaken)
    assert len(st.reverify(path, progress=False).disagreeing) == 1


def test_a_verdict_that_does_not_stand_is_found(tmp_path):
    path = tmp_path / "a.sqlite"
    swept(path, "lipschitz")
    changed(path, "result", lambda text: to_json({**from_json(text), "outcome": "VIOLATED"}))
    assert "(VIOLATED)" in str(st.reverify(path, progress=False)) and st.reverify(path, progress=False).disagreeing


def test_a_certificate_that_does_not_prove_is_found(tmp_path):
    path = tmp_path / "a.sqlite"
    swept(path, "translation", bound="sharp")

    def bent(text):
        result = from_json(text)
        result["certificates"][0]["proof"]["value"] *= 0.5
        return to_json(result)

    changed(path, "result", bent)
    (row,) = st.reverify(path, progress=False).disagreeing
    assert row.certificates is False


def test_what_has_no_worst_case_is_skipped_with_the_reason(tmp_path):
    path = tmp_path / "a.sqlite"
    swept(path, "energy", form="balance")
    st.sweep({"n": [1, 13]}, "sweep_measures:arithmetic", store=path, progress=False)
    checked = st.reverify(path, progress=False)
    assert checked.rows == () and sorted(reason for _, reason in checked.skipped) == [
        "a measure of its own",
        "all bounds are 0: no point is the worst",
    ]
    with pytest.raises(StoreError, match="no file"):
        st.reverify(tmp_path / "none.sqlite")
