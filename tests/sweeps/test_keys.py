"""Canonical text, keys, seeds and spaces."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as draws

from scatter_theory.sweeps import read_space
from scatter_theory.sweeps._key import canonical, key_of, seed_of
from scatter_theory.sweeps._record import from_json, pack_witness, to_json, unpack_witness
from scatter_theory.sweeps._space import cells

PLAIN = draws.recursive(
    draws.none()
    | draws.booleans()
    | draws.integers()
    | draws.floats(allow_nan=False, allow_infinity=False)
    | draws.text(max_size=4),
    lambda inner: draws.lists(inner, max_size=3) | draws.dictionaries(draws.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(value=PLAIN)
def test_canonical_text_is_json_of_the_value(value):
    text = canonical(value)
    assert json.loads(text) == value and text.isascii()
    assert canonical(json.loads(text)) == text


@given(table=draws.dictionaries(draws.text(max_size=3), PLAIN, max_size=5))
def test_order_of_names_does_not_matter(table):
    assert canonical(dict(reversed(table.items()))) == canonical(table)


def test_the_key_is_the_hash_that_is_documented():
    text = '{"schema":1,"measure":"energy","configuration":{"depth":1}}'
    key = key_of("energy", canonical({"depth": 1}))
    assert key == hashlib.sha256(text.encode()).hexdigest()[:32]
    assert seed_of(key) == int(key[17:], 16) < 2**60


def test_what_differs_has_another_key():
    found = [
        key_of(measure, canonical(table))
        for measure in ("energy", "lipschitz")
        for table in ({"a": 1}, {"a": 1.0}, {"a": "1"}, {"a": True}, {"a": None}, {"a": [1]}, {"b": 1}, {})
    ]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ({"a": np.float64(1.0)}, TypeError, "configuration.a"),
        ({"a": [1, np.ones(2)]}, TypeError, r"configuration.a\[1\]"),
        ({"a": {1: 2}}, TypeError, "expected a string"),
        ({"a": float("nan")}, ValueError, "finite"),
        ({"a": {1, 2}}, TypeError, "of type set"),
    ],
    ids=["numpy number", "array", "name", "nan", "set"],
)
def test_what_json_cannot_say_is_refused(value, kind, text):
    with pytest.raises(kind, match=text):
        canonical(value)


@given(
    table=draws.dictionaries(
        draws.text(max_size=3), draws.floats() | draws.integers() | draws.text(max_size=4), max_size=4
    )
)
def test_results_come_back(table):
    np.testing.assert_equal(from_json(to_json(table)), table)


def test_witnesses_come_back_and_are_the_same_bytes():
    witness = {"f": np.arange(4.0), "F f": np.ones((2, 2), complex), "layer": 1, "unit value": float("inf")}
    again = unpack_witness(pack_witness(witness))
    assert set(again) == set(witness) and again["layer"] == 1 and again["unit value"] == float("inf")
    assert np.array_equal(again["f"], witness["f"]) and again["F f"].dtype == complex
    assert pack_witness(witness) == pack_witness(dict(witness))


def test_results_that_cannot_be_stored_are_refused():
    for value in ({"a": 1j}, {"a": object()}, {1: 2}):
        with pytest.raises(TypeError, match="expected"):
            to_json(value)


# --- spaces ----------------------------------------------------------------------------------------------------------


def test_a_mapping_is_all_combinations():
    space = {"frame": ["a", {"kind": "b"}], "depth": range(1, 3), "grid": {"shape": [8]}, "shifts": [[1, 2]]}
    found = [cell.configuration for cell in cells(space, "energy")]
    fixed = {"grid": {"shape": [8]}, "shifts": [1, 2]}
    assert found == [{"frame": f, "depth": n, **fixed} for f in ("a", {"kind": "b"}) for n in (1, 2)]


def test_a_list_is_taken_as_it_stands_and_gives_the_same_keys():
    grown = cells({"n": [1, 2, 3]}, "m:f")
    listed = cells([{"n": 3}, {"n": 1}], "m:f")
    assert [cell.key for cell in listed] == [grown[2].key, grown[0].key]
    assert [cell.seed for cell in listed] == [grown[2].seed, grown[0].seed]


@pytest.mark.parametrize(
    ("space", "kind", "text"),
    [
        ({"n": []}, ValueError, "no cell"),
        ([], ValueError, "no cell"),
        ([{"n": 1}, {"n": 1}], ValueError, "cells 0 and 1 are equal"),
        ({"n": [1, 1]}, ValueError, "draw"),
        (3, TypeError, "got int"),
        ([1], TypeError, "got list"),
        ({"n": [object()]}, TypeError, "cell 0.n"),
    ],
    ids=[
        "empty alternatives",
        "empty list",
        "equal cells",
        "equal alternatives",
        "number",
        "list of numbers",
        "object",
    ],
)
def test_what_is_no_space_is_refused(space, kind, text):
    with pytest.raises(kind, match=text):
        cells(space, "energy")


def test_files(tmp_path):
    (tmp_path / "a.toml").write_text(
        'measure = "energy"\n[space]\ndepth = [1, 2]\nframe = {kind = "Wavelets", J = 2}\n'
    )
    (tmp_path / "b.json").write_text('{"cell": [{"depth": 1}]}')
    assert read_space(tmp_path / "a.toml") == ({"depth": [1, 2], "frame": {"kind": "Wavelets", "J": 2}}, "energy")
    assert read_space(tmp_path / "b.json") == ([{"depth": 1}], None)


@pytest.mark.parametrize(
    ("name", "text", "kind", "says"),
    [
        ("a.toml", "space = [", ValueError, "not TOML"),
        ("a.json", "{", ValueError, "not JSON"),
        ("a.yaml", "", ValueError, "ends in .toml or .json"),
        ("a.toml", "depth = [1]", ValueError, "expected `space`"),
        ("a.toml", "[space]\n[[cell]]\n", ValueError, "expected `space`"),
        ("a.json", "[1]", ValueError, "holds list"),
        (None, "", FileNotFoundError, "no file"),
    ],
)
def test_wrong_files_are_refused(tmp_path, name, text, kind, says):
    path = tmp_path / (name or "none.toml")
    if name:
        path.write_text(text)
    with pytest.raises(kind, match=says):
        read_space(path)
