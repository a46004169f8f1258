"""Reports: reductions against the union of the populations, selection, tables, storage."""

import math
import sys

import numpy as np
import pytest

from scatter_theory.meters import REDUCTIONS, Pooling, Report


def variance(x, unbiased):
    return x.var(ddof=int(unbiased)) if len(x) > unbiased else math.nan


def of(populations, unbiased=True):
    """Report of one step whose sites are populations of numbers, with every kind of quantity."""
    columns = {
        "n": [len(x) for x in populations],
        "total": [x.sum() for x in populations],
        "mean": [x.mean() for x in populations],
        "norm": [np.sqrt((x**2).sum()) for x in populations],
        "rms": [np.sqrt((x**2).mean()) for x in populations],
        "variance": [variance(x, unbiased) for x in populations],
        "cv2": [variance(x, unbiased) / x.mean() ** 2 for x in populations],
    }
    rules = {
        "n": Pooling("sum", "n"),
        "total": Pooling("sum", "n"),
        "mean": Pooling("mean", "n"),
        "norm": Pooling("root_sum", "n"),
        "rms": Pooling("root_mean", "n"),
        "variance": Pooling("variance", "n", "mean", unbiased=unbiased),
        "cv2": Pooling("cv2", "n", "mean", "variance", unbiased),
    }
    values = {name: np.array(column, dtype=float)[:, None] for name, column in columns.items()}
    sites = tuple(f"block{k}.weight" for k in range(len(populations)))
    return Report("numbers", sites, np.array([5]), values, rules, facts={"seed": 3})


@pytest.mark.parametrize("unbiased", [True, False])
def test_pooled_is_the_value_of_the_union(unbiased):
    rng = np.random.default_rng(0)
    populations = [rng.normal(k, k + 1, size) for k, size in enumerate((7, 40, 3))]
    report, union = of(populations, unbiased), of([np.concatenate(populations)], unbiased)
    for quantity in report.quantities:
        assert report.pooled(quantity) == pytest.approx(union.per_layer(quantity)[0], rel=1e-13), quantity


def test_reductions_differ_where_they_should():
    """Two tensors of 1000 entries with moduli 1 and 3: no variance in either, but in their union."""
    report = of([np.full(1000, 1.0), np.full(1000, 3.0)])
    assert report.pooled("variance", "sum_layer") == 0.0
    assert report.pooled("variance", "pooled") == pytest.approx(2000 / 1999, rel=1e-14)
    report = of([np.array([1.0, 3.0]), np.array([2.0, 4.0, 6.0, 8.0])])
    assert report.pooled("mean", "sum_layer") == 7.0
    assert report.pooled("mean", "mean_layer") == 3.5
    assert report.pooled("mean", "size_weighted") == report.pooled("mean", "pooled") == 4.0
    assert report.pooled("variance", "size_weighted") == pytest.approx((2 * 2 + 4 * 20 / 3) / 6)
    assert set(REDUCTIONS) == {"sum_layer", "mean_layer", "size_weighted", "pooled"}


def test_sites_without_a_value_are_left_out_and_counted():
    report = of([np.array([1.0, 3.0]), np.array([2.0])])
    assert report.measured("variance") == 1 and report.measured("mean") == 2
    assert report.pooled("variance", "sum_layer") == 2.0
    alone = report.select("block1.*")
    assert alone.measured("variance") == 0
    assert all(np.isnan(alone.pooled("variance", r)[0]) for r in REDUCTIONS)


def test_a_single_number_enters_the_variance_of_a_union():
    """Although it has no unbiased variance of its own."""
    assert of([np.array([1.0, 3.0]), np.array([8.0])]).pooled("variance") == 13.0


def test_select_and_storage():
    report = of([np.arange(3.0), np.arange(5.0)])
    assert report.select("*.weight").sites == report.sites and report.select("block0.*").sites == ("block0.weight",)
    again = Report.from_dict(report.to_dict())
    assert again.sites == report.sites and again.facts == report.facts and again.poolings == report.poolings
    assert all(np.array_equal(again.values[q], report.values[q], equal_nan=True) for q in report.quantities)
    assert str(again) == str(report)


def test_table():
    text = str(of([np.arange(3.0), np.arange(5.0)]))
    assert "2 sites, 1 steps; at step 5" in text
    last = text.splitlines()[-1].split()
    assert last[0] == "pooled" and last[1:4] == ["8", "13", "1.625"]


def test_to_frame_needs_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pandas is not installed"):
        of([np.arange(3.0)]).to_frame()


def test_to_frame():
    pandas = pytest.importorskip("pandas")
    frame = of([np.arange(3.0), np.arange(5.0)]).to_frame()
    assert isinstance(frame, pandas.DataFrame) and list(frame["n"]) == [3, 5] and list(frame["step"]) == [5, 5]


def test_bad_input():
    report = of([np.arange(3.0)])
    with pytest.raises(KeyError, match="no quantity 'median'"):
        report.pooled("median")
    with pytest.raises(ValueError, match="got 'total', expected one of"):
        report.pooled("mean", "total")
    with pytest.raises(ValueError, match="matches none of the sites"):
        report.select("head.*")
    with pytest.raises(ValueError, match="expected one of"):
        Pooling("median", "n")
    with pytest.raises(ValueError, match=r"`Pooling\(mean=...\)`: kind 'variance' needs"):
        Pooling("variance", "n")
    with pytest.raises(ValueError, match=r"`Pooling\(variance=...\)`: kind 'cv2' needs"):
        Pooling("cv2", "n", "mean")
    with pytest.raises(ValueError, match=r"has shape \(2, 1\), expected \(1, 1\)"):
        Report("x", ("a",), np.array([1]), {"n": np.zeros((2, 1))}, {"n": Pooling("sum", "n")})
    with pytest.raises(ValueError, match="expected one for each"):
        Report("x", ("a",), np.array([1]), {"n": np.zeros((1, 1))}, {})
    with pytest.raises(ValueError, match=r"reduction=...\)`: got 'all'"):
        Report("x", (), np.array([1]), {}, {}, reduction="all")
    assert math.isnan(of([np.array([2.0])]).pooled("variance")[0])
