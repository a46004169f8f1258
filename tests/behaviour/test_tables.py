"""Features and results as tables of pandas and arrays of xarray: values and labels, and what is said without them."""

import sys

import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory.meters import Pooling, Report

LAYER = st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Subsample(2))


def features(grid, *batch, **options):
    generator = torch.Generator().manual_seed(0)
    phi = st.FeatureExtractor([LAYER, LAYER], grid, **options)
    return phi(torch.randn(*batch, *grid.shape, dtype=phi.dtype, generator=generator))


def report():
    values = {"mse": np.array([[1.0, 2.0, 3.0], [4.0, np.nan, 6.0]]), "n": np.full((2, 3), 5.0)}
    rules = {"mse": Pooling("mean", "n"), "n": Pooling("sum", "n")}
    return Report("numbers", ("a.weight", "b.weight"), np.array([2, 4, 6]), values, rules, facts={"seed": 3})


CHECK = st.verify.translation(
    st.FeatureExtractor([LAYER], st.Grid.line(32)), shifts=[1, 2], effort=st.verify.Effort(2, 2, 0), generator=0
)


@pytest.mark.parametrize("engine", ["exact", "fast"])
def test_features_as_arrays(engine):
    """Dilation by 2 halves the distance of the samples from layer to layer, from 0.25 s."""
    pytest.importorskip("xarray", reason="xarray is not installed")
    found = features(st.Grid.line(32, sample_rate=4, unit="s"), 3, engine=engine)
    tree = found.to_xarray()
    assert list(tree.children) == ["layer0", "layer1", "layer2"]
    for layer in found:
        array = tree[f"layer{layer.n}"]["features"]
        assert array.dims == ("signal", "path", "x") and array.attrs["layer"] == layer.n
        np.testing.assert_array_equal(array, layer.values)
        step = 0.25 / 2**layer.n * 32 / len(array.x)
        np.testing.assert_allclose(array.x, np.arange(len(array.x)) * step, rtol=1e-14)
        assert array.x.attrs == {"units": "s"}
        path = layer.paths[-1]
        chosen = array.sel(path=str(tuple(path)), signal=1)
        np.testing.assert_array_equal(chosen, layer.values[1, -1])
        scales = [s[-1] if s else np.nan for s in layer.scales]
        np.testing.assert_array_equal(array.scale, scales)


def test_axes_of_images_and_batches():
    pytest.importorskip("xarray", reason="xarray is not installed")
    grid = st.Grid.of((6, 8), sample_rate=2.0)
    single, nested = (features(grid, *batch).layers[1].to_xarray() for batch in ((), (2, 3)))
    assert single.dims == ("path", "x", "y") and nested.dims == ("signal_0", "signal_1", "path", "x", "y")
    assert float(nested.x[5]) == 5 * 0.25 and float(nested.y[7]) == 7 * 0.25
    assert list(nested.path.values[:2]) == ["(0,)", "(1,)"] and single.name == "features"


def test_features_as_a_table():
    pytest.importorskip("pandas", reason="pandas is not installed")
    found = features(st.Grid.of((8, 12), sample_rate=2.0), 2)
    table = found.to_frame()
    assert list(table.columns) == ["layer", "signal", "path", "x", "y", "value"]
    assert len(table) == sum(layer.values.numel() for layer in found)
    layer = found.layers[2]
    row, rows = 3, table[(table.layer == 2) & (table.signal == 1)]
    chosen = rows[(rows.path == str(tuple(layer.paths[row]))) & (rows.x == 2 * 0.125) & (rows.y == 5 * 0.125)]
    assert chosen.value.item() == layer.values[1, row, 2, 5].item()
    energy = (table.value**2).groupby([table.signal, table.layer]).sum().to_numpy().reshape(2, 3)
    np.testing.assert_allclose(energy * [0.25, 0.0625, 0.015625], found.energy("layer").numpy(), rtol=1e-12)


def test_checks_as_tables():
    pytest.importorskip("pandas", reason="pandas is not installed")
    table = CHECK.to_frame()
    assert list(table["series"]) == list(CHECK.series) and table[CHECK.x_label].tolist() == CHECK.x.tolist()
    np.testing.assert_allclose(table["measured"] / table["bound"], table["ratio"], rtol=1e-12)
    assert set(CHECK.extra) <= set(table.columns) and (table["discretisation"] == 0).all()

    nothing = st.verify.translation(st.FeatureExtractor([LAYER], st.Grid.line(32)), effort=st.verify.Effort(0, 0, 0))
    verdict = st.Verdict({"shifts": CHECK, "nothing": nothing}).to_frame()
    assert verdict["check"].tolist() == ["shifts", "nothing"]
    assert verdict["outcome"].tolist() == [CHECK.outcome.name, "INCONCLUSIVE"]
    assert verdict["worst ratio"][0] == CHECK.worst and np.isnan(verdict["worst ratio"][1])

    compared = CHECK.compare()
    assert compared.to_frame().to_dict("records") == compared.table()


def test_reports_as_arrays():
    pytest.importorskip("xarray", reason="xarray is not installed")
    data = report().to_xarray()
    assert float(data["mse"].sel(site="b.weight", step=6)) == 6.0 and data.attrs == {"title": "numbers", "seed": 3}
    assert np.isnan(data["mse"].sel(site="b.weight", step=4)) and dict(data.sizes) == {"site": 2, "step": 3}


@pytest.mark.parametrize(
    ("package", "convert", "owner"),
    [
        ("pandas", lambda: CHECK.to_frame(), "BoundCheck.to_frame"),
        ("pandas", lambda: st.Verdict({"a": CHECK}).to_frame(), "Verdict.to_frame"),
        ("pandas", lambda: CHECK.compare().to_frame(), "Comparison.to_frame"),
        ("pandas", lambda: features(st.Grid.line(8)).to_frame(), "Features.to_frame"),
        ("xarray", lambda: features(st.Grid.line(8)).to_xarray(), "Features.to_xarray"),
        ("xarray", lambda: features(st.Grid.line(8)).layers[0].to_xarray(), "LayerFeatures.to_xarray"),
        ("xarray", lambda: report().to_xarray(), "Report.to_xarray"),
    ],
    ids=lambda x: x if isinstance(x, str) and "." in x else "",
)
def test_a_missing_package_is_named(package, convert, owner, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"`{owner}.*pip install {package}`, or use"):
        convert()
