"""The figure and the table of a certificate carry its numbers."""

import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from certify.model_networks import seeded, small_cnn

from scatter_theory.certify.model import _pooling
from scatter_theory.certify.model._torch_model import torch_model

QUICK = {"starts": 1, "steps": 5}


@pytest.fixture(scope="module")
def certificate():
    return torch_model(seeded(small_cnn), (1, 12, 11), **QUICK)


def test_the_artists_carry_the_numbers(certificate):
    display = certificate.plot()
    np.testing.assert_array_equal(display.artists["total"].get_xdata(), [n.total for n in certificate.nodes])
    np.testing.assert_array_equal(display.artists["attained"].get_xdata(), [n.attained for n in certificate.nodes])
    np.testing.assert_array_equal(display.artists["exact"].get_xdata(), [n.constant for n in certificate.nodes])
    assert display.artists["lower"].get_xdata()[0] == certificate.lower
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == [n.name for n in certificate.nodes]
    assert "exceeded" not in display.artists and len(display.png()) > 10000
    plt.close("all")


def test_a_void_certificate_says_so(monkeypatch):
    monkeypatch.setattr(_pooling, "_most", lambda reads, n: 1)
    display = torch_model(seeded(small_cnn), (1, 12, 11), **QUICK).plot()
    assert display.artists["exceeded"].get_ydata().tolist() == [3]
    assert "void: attack exceeds 3" in display.figure_._suptitle.get_text()
    plt.close("all")


def test_upper_bounds_are_open(monkeypatch, certificate):
    monkeypatch.setattr(_pooling, "DENSE", 1)
    display = torch_model(seeded(small_cnn), (1, 12, 11), **QUICK).plot()
    assert display.artists["upper bound"].get_markerfacecolor() == "none"
    assert display.artists["upper bound"].get_ydata().tolist() == [6]
    plt.close("all")


def test_the_table_has_a_row_per_node(monkeypatch, certificate):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=list))
    rows = certificate.to_frame()
    assert [row["name"] for row in rows] == [n.name for n in certificate.nodes]
    assert [row["constant"] for row in rows] == [n.constant for n in certificate.nodes]
    assert rows[0]["inputs"] == "input_1" and "matrix of the layer" in rows[0]["source"]


def test_the_table_needs_pandas(monkeypatch, certificate):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"`ModelCertificate\.to_frame\(\)`: pandas is not installed"):
        certificate.to_frame()
