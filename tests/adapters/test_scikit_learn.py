"""Extractors as transformers of scikit-learn: its own checks, values and names against the extractors, refusals."""

import itertools
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import scatter_theory as st
from scatter_theory import adapters
from scatter_theory.paths import EnergyThreshold

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_set_output_transform_pandas,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

ScatteringTransformer = adapters.ScatteringTransformer
DIGITS, LABELS = load_digits(return_X_y=True)


# scikit-learn's signals have few samples, over which no low-pass decays.
@pytest.mark.filterwarnings(
    "ignore:.Scattering1D.*does not decay:UserWarning", "ignore::sklearn.exceptions.SkipTestWarning"
)
@parametrize_with_checks([ScatteringTransformer(), ScatteringTransformer(J=1, batch_size=7)])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings(
    "ignore:.Scattering1D.*does not decay:UserWarning", "ignore:X (has|does not have valid) feature names:UserWarning"
)
@pytest.mark.parametrize(
    "check",
    [
        check_set_output_transform_pandas,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
    ],
)
def test_checks_of_names(check):
    pytest.importorskip("pandas", reason="pandas is not installed")
    check("ScatteringTransformer", ScatteringTransformer())


def columns(transformer, X):
    """Features by name."""
    return dict(zip(transformer.get_feature_names_out(), transformer.fit_transform(X).T, strict=True))


@pytest.mark.parametrize("max_order", [1, 2])
def test_images_by_name(max_order):
    """Every value against kymatio's form of output, in which each path comes with its scales and directions."""
    transformer = ScatteringTransformer(shape=(8, 8), J=2, L=3, max_order=max_order, batch_size=4).fit(DIGITS)
    found = columns(transformer, DIGITS[:10])
    images = torch.tensor(DIGITS[:10]).reshape(-1, 8, 8)
    reference = st.Scattering2D(2, (8, 8), L=3, max_order=max_order, dtype=torch.float64, out_type="list")(images)
    for entry in reference:
        atoms = "".join(f" (j={j}, theta={t})" for j, t in zip(entry["j"], entry["theta"], strict=True))
        for a, b in itertools.product(range(2), range(2)):
            value = found.pop(f"order{len(entry['j'])}{atoms} [{a}, {b}]")
            np.testing.assert_allclose(value, entry["coef"][:, a, b], rtol=0, atol=1e-12)
    assert not found


def test_signals_by_name():
    """On a line the index n of the wavelet is beside its scale; outputs of any form give the same table."""
    X = np.random.default_rng(0).normal(size=(5, 256))
    transform = st.Scattering1D(4, 256, Q=2, dtype=torch.float64, out_type="list")
    reference, rows = transform(torch.tensor(X)), {}
    for out_type in ("list", "dict", "array"):
        transform.out_type = out_type
        rows[out_type] = columns(ScatteringTransformer(transform).fit(X), X)
    for entry in reference:
        atoms = "".join(f" (j={j}, n={n})" for j, n in zip(entry["j"], entry["n"], strict=True))
        for a in range(16):
            for found in rows.values():
                value = found.pop(f"order{len(entry['j'])}{atoms} [{a}]")
                np.testing.assert_allclose(value, entry["coef"][:, a], rtol=0, atol=1e-12)
    assert rows == {"list": {}, "dict": {}, "array": {}}


@pytest.mark.parametrize("engine", ["exact", "fast"])
def test_feature_extractors_by_name(engine):
    layer = st.Layer(st.frames.Wavelets(J=2), st.Modulus(), st.Subsample(2))
    phi = st.FeatureExtractor([layer, layer], st.Grid.line(32), engine=engine, dtype=torch.float64)
    X = np.random.default_rng(0).normal(size=(4, 32))
    found = columns(ScatteringTransformer(phi).fit(X), X)
    for features in phi(torch.tensor(X)):
        for row, path in enumerate(features.paths):
            labels = "".join(f" ({phi.banks[n].atoms[a].label})" for n, a in enumerate(path))
            for k in range(features.grid.shape[0]):
                value = found.pop(f"layer{len(path)}{labels} [{k}]")
                np.testing.assert_array_equal(value, features.values[:, row, k].numpy())
    assert not found


def test_batches_bound_what_is_held_and_change_no_value():
    phi = st.Scattering2D(2, (8, 8), dtype=torch.float64)
    seen = []
    phi.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    whole = ScatteringTransformer(phi, batch_size=100).fit_transform(DIGITS[:37])
    seen.clear()
    parts = ScatteringTransformer(phi, batch_size=10).fit(DIGITS[:37])
    seen.clear()
    np.testing.assert_allclose(parts.transform(DIGITS[:37]), whole, rtol=0, atol=1e-12)
    assert seen == [10, 10, 10, 7]


def test_precision_is_that_of_the_extractor():
    single = ScatteringTransformer(shape=(8, 8), J=1).fit(DIGITS[:5].astype(np.float32))
    assert single.transform(DIGITS[:5]).dtype == np.float32 and single.extractor_.dtype == torch.float32
    assert ScatteringTransformer(shape=(8, 8), J=1).fit_transform(DIGITS[:5].astype(int)).dtype == np.float64
    given = ScatteringTransformer(st.Scattering2D(1, (8, 8)))
    assert given.fit_transform(DIGITS[:5]).dtype == np.float32
    assert given.__sklearn_tags__().transformer_tags.preserves_dtype == ["float32"]


def test_padded_images():
    transform = st.Scattering2D(1, (8, 8), pre_pad=True, dtype=torch.float64)
    X = np.random.default_rng(0).normal(size=(3, 144))
    expected = transform(torch.tensor(X).reshape(3, *transform.padded_shape)).flatten(1)
    np.testing.assert_allclose(ScatteringTransformer(transform).fit_transform(X), expected, rtol=0, atol=1e-13)


def test_pipelines_searches_and_copies():
    phi = st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=1))], st.Grid.square(8))
    copy = clone(ScatteringTransformer(phi, batch_size=3))
    assert copy.batch_size == 3 and copy.extractor is not phi
    np.testing.assert_array_equal(copy.fit_transform(DIGITS[:4]), phi(DIGITS[:4].reshape(4, 8, 8)).flatten())
    stored = pickle.loads(pickle.dumps(copy))
    np.testing.assert_array_equal(stored.transform(DIGITS[:4]), copy.transform(DIGITS[:4]))

    model = make_pipeline(ScatteringTransformer(shape=(8, 8), L=4), LogisticRegression(C=0.01, max_iter=300))
    search = GridSearchCV(model, {"scatteringtransformer__J": [1, 2]}, cv=2).fit(DIGITS[:300], LABELS[:300])
    assert search.best_score_ > 0.85
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_tables_in_and_out():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X = pandas.DataFrame(DIGITS[:4], columns=[f"pixel {k}" for k in range(64)], index=list("abcd"))
    transformer = ScatteringTransformer(shape=(8, 8), J=2, L=2).set_output(transform="pandas").fit(X)
    table = transformer.transform(X)
    assert list(table.index) == list("abcd") and table.columns[0] == "order0 [0, 0]" and table.columns.is_unique
    assert list(table.columns) == list(transformer.get_feature_names_out(X.columns))
    with pytest.raises(ValueError, match="feature names"):
        transformer.transform(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="not equal to feature_names_in_"):
        transformer.get_feature_names_out(X.columns[::-1])


LINE = st.Grid.line(64)
REFUSED = {
    "no extractor": (TypeError, dict(extractor="scattering"), "got str, expected a FeatureExtractor"),
    "both": (ValueError, dict(extractor=st.Scattering2D(1, (8, 8)), J=2), "got an extractor and J"),
    "complex signals": (ValueError, dict(extractor=st.Scattering2D(1, (8, 8), complex_input=True)), "complex signals"),
    "complex features": (
        ValueError,
        dict(extractor=st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=2, sided="both"), st.Identity())], LINE)),
        "features are complex",
    ),
    "paths by the signals": (
        ValueError,
        dict(extractor=st.FeatureExtractor([st.Layer(st.frames.Wavelets(J=2))], LINE, paths=EnergyThreshold(0.1))),
        "chooses paths by the signals",
    ),
    "other shape": (ValueError, dict(extractor=st.Scattering2D(1, (8, 4))), "got 64 columns, expected 32"),
    "shape of parameters": (ValueError, dict(shape=(8, 9)), "got 64 columns, expected 72"),
    "three axes": (ValueError, dict(shape=(4, 4, 4)), r"expected \(N,\) or \(M, N\)"),
    "Q of images": (ValueError, dict(shape=(8, 8), Q=2), "Q belongs to signals on a line"),
    "L of signals": (ValueError, dict(L=2), "L to images"),
    "J too large": (ValueError, dict(J=7), "the largest J is 6"),
    "no rows at once": (ValueError, dict(batch_size=0), "expected at least 1 row"),
    "parts of rows": (TypeError, dict(batch_size=2.5), "expected a whole number of rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    error, parameters, message = REFUSED[case]
    with pytest.raises(error, match=message):
        ScatteringTransformer(**parameters).fit(DIGITS[:3])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda X: X * np.nan, "contains NaN"),
        (lambda X: X + 1j, "Complex data not supported"),
        (lambda X: X[0], "Expected 2D array, got 1D"),
        (lambda X: X.reshape(-1, 8, 8), r"Flatten signals with `X.reshape\(len\(X\), -1\)`"),
        (lambda X: X[:, :50], "50 features"),
        (lambda X: __import__("scipy.sparse").sparse.csr_array(X), "(?i)sparse"),
    ],
    ids=["NaN", "complex", "one signal", "images", "fewer samples", "sparse"],
)
def test_bad_tables(spoil, message):
    transformer = ScatteringTransformer(shape=(8, 8), J=1).fit(DIGITS[:3])
    with pytest.raises((TypeError, ValueError), match=message):
        transformer.transform(spoil(DIGITS[:3]))


def test_the_default_of_a_line_does_not_warn():
    for n, J in ((32, 1), (64, 2), (100, 2), (128, 3), (500, 3)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert ScatteringTransformer().fit(np.eye(2, n)).extractor_.J == J


def test_not_fitted():
    for call in (lambda t: t.transform(DIGITS[:2]), lambda t: t.get_feature_names_out()):
        with pytest.raises(NotFittedError):
            call(ScatteringTransformer())


def test_scikit_learn_is_loaded_on_use_only():
    code = (
        "import sys; import scatter_theory; from scatter_theory import adapters; adapters.kymatio; "
        "assert not {'sklearn', 'kymatio'} & set(sys.modules); "
        "adapters.ScatteringTransformer; assert 'sklearn' in sys.modules"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_missing_scikit_learn_is_named(monkeypatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "sklearn" or n.endswith("._scikit_learn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModuleNotFoundError, match="package `scikit-learn`; install the extra"):
        _ = adapters.ScatteringTransformer
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = adapters.nothing
