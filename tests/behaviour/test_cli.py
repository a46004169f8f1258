"""The command line: what it prints, what it refuses, and its exit codes."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import scatter_theory as st
from scatter_theory import cli, config, report, verify
from scatter_theory.theory import THEOREMS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "howto" / "network.toml"
SMALL = """
[grid]
shape = [32]

[[layer]]
frame = {kind = "Wavelets", J = 2}
pooling = {kind = "Subsample", factor = 2}
"""


@pytest.fixture
def net(tmp_path):
    """Write a TOML file."""

    def write(text=SMALL):
        path = tmp_path / "net.toml"
        path.write_text(text)
        return str(path)

    return write


def told(capsys, *arguments):
    """Exit code, standard output and standard error of a command."""
    try:
        code = cli.main(arguments)
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# --- list and show ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("frames", ["Wavelets(J=None", "Curvelets(", "Taps(name", "Tightened(frame)"]),
        ("nonlinearities", ["Modulus()", "ReLU()", "LeakyReLU(slope=0.01)", "Sigmoid()"]),
        ("poolings", ["NoPooling()", "Subsample(factor=2)", "Average(", "Max("]),
        ("claims", list(verify.CLAIMS)),
    ],
)
def test_list_names_everything(capsys, what, names):
    code, out, _ = told(capsys, "list", what)
    assert code == 0 and [name for name in names if name not in out] == []
    assert "Nonlinearity(" not in out and "Frame(" not in out and "Pooling(" not in out.replace("NoPooling(", "")


@pytest.mark.parametrize("claim", [*verify.CLAIMS, *THEOREMS])
def test_every_claim_can_be_shown(capsys, claim):
    code, out, _ = told(capsys, "show", "claim", claim)
    assert code == 0 and "Source:" in out and "On a grid:" in out


def test_show_translation_is_the_theorem(capsys):
    _, out, _ = told(capsys, "show", "claim", "translation")
    assert THEOREMS["translation"].statement in out and "Theorem 1 (ii)" in out


# --- verify ----------------------------------------------------------------------------------------------------------


def test_verify_writes_json_and_html(capsys, net, tmp_path):
    np.save(tmp_path / "f.npy", np.random.default_rng(0).standard_normal((2, 32)))
    code, out, _ = told(
        capsys, "verify", net(), "--claim", "admissibility", "--claim", "covariance", "--seed", "5",
        "--signal", str(tmp_path / "f.npy"), "--json", str(tmp_path / "out.json"), "--html", str(tmp_path / "out.html"),
    )  # fmt: skip
    assert code == 0 and "2 HOLDS" in out
    table = json.loads((tmp_path / "out.json").read_text())
    assert set(table["checks"]) == {"admissibility", "covariance"}
    assert table["checks"]["covariance"]["provenance"]["seed"] == 5
    assert "<html" in (tmp_path / "out.html").read_text()


def test_the_example_describes_what_it_says():
    phi = config.load(EXAMPLE)
    wavelets, gabor = st.frames.Wavelets(J=4), st.frames.LogGabor(J=4).tightened()
    assert phi.layers == (st.Layer(wavelets, st.Modulus(), st.Subsample(2)), st.Layer(gabor, st.ReLU()))
    assert phi.grid == st.Grid.line(256, sample_rate=360.0, unit="s")
    assert phi.path_rule == st.FrequencyDecreasing() and phi.sampling == "dilate"


def test_all_arguments_reach_the_extractor():
    table = {
        "grid": {"shape": [16, 8], "length": 2.0, "unit": "mm"},
        "layer": [
            {"frame": {"kind": "Taps", "name": "db2", "J": 1}, "pooling": {"kind": "Average", "kernel": [0.5, 0.5]}}
        ],
        "final": {"kind": "Wavelets", "J": 1},
        "paths": {"kind": "MaximumCount", "count": 3},
        "sampling": "decimate",
        "complex_input": True,
    }
    phi = config.network(table)
    assert phi.grid == st.Grid((16, 8), (0.125, 0.25), "mm")
    assert phi.layers[0].pooling == st.Average(2, kernel=(0.5, 0.5))
    assert phi.final == st.frames.Wavelets(J=1) and phi.path_rule == st.MaximumCount(3)
    assert phi.sampling == "decimate" and phi.complex_input


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("J = 2", "j = 2", ["[[layer]] number 1, frame, Wavelets", "unknown `j`", "Valid: J, Q, cutoff"]),
        ("J = 2", "J = 9", ["the network", "largest admissible J is 4"]),
        ("Wavelets", "Wavelet", ["no frame 'Wavelet'", "Did you mean 'Wavelets'?", "Known:", "Curvelets"]),
        ("shape", "shap", ["[grid]", "unknown `shap`", "Did you mean 'shape'?", "sample_rate"]),
        ("[32]", "32", ["`shape` must be a list"]),
        ("[32]", "[32, 0]", ["[grid]", "positive"]),
        ("pooling = {", "poolng = {", ["unknown `poolng`", "Valid: frame, nonlinearity, pooling"]),
        ("factor = 2", "factor = 0.5", ["Subsample", ">= 1"]),
        ('kind = "Subsample", ', "", ["expected a name or a table", "kind"]),
        ("[grid]", "smapling = 'dilate'\n[grid]", ["unknown `smapling`", "Did you mean 'sampling'?", "complex_input"]),
        ("[grid]", "sampling = 'zigzag'\n[grid]", ["'zigzag'", "'dilate' or 'decimate'"]),
        ("[grid]", "paths = 'Some'\n[grid]", ["no paths 'Some'", "AllPaths"]),
        ("[grid]", "[gird]", ["unknown `gird`", "grid"]),
        ("[[layer]]", "[layer]", ["must be a list of tables", "[[layer]]"]),
        ("[grid]", "[grid", ["not TOML"]),
        ('{kind = "Subsample", factor = 2}', '"Pool"', ["Pool", "function"]),
        ("[[layer]]\nframe", "[[layer]]\nnonlinearity = 'ReLU'\n[[layer]]\nframe", ["number 1: there is no `frame`"]),
        (SMALL, "[grid]\nshape = [32]", ["there is no `[[layer]]`"]),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(capsys, net, old, new, words):
    assert old in SMALL
    code, out, err = told(capsys, "verify", net(SMALL.replace(old, new, 1)), "--claim", "admissibility")
    assert code == cli.USAGE and out == ""
    assert [word for word in ["net.toml", *words] if word not in err] == [], err


def test_wrong_usage_is_refused(capsys, net, tmp_path):
    np.save(tmp_path / "short.npy", np.zeros(31))
    np.save(tmp_path / "nan.npy", np.full(32, np.nan))
    for arguments, word in [
        (["verify", str(tmp_path / "none.toml")], "cannot be read"),
        (["verify", net(), "--claim", "truth"], "invalid choice"),
        (["verify", net(), "--signal", str(tmp_path / "none.npy")], "no file"),
        (["verify", net(), "--signal", str(tmp_path / "short.npy")], "expected (*batch, 32)"),
        (["verify", net(), "--signal", str(tmp_path / "nan.npy")], "finite"),
        (["list", "theorems"], "invalid choice"),
        (["report", "--jobs", "0"], ">= 1"),
        (["prove"], "invalid choice"),
        ([], "required"),
    ]:
        code, out, err = told(capsys, *arguments)
        assert (code, out) == (cli.USAGE, "") and word in err, (arguments, err)


# --- exit codes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nonlinearity", "pooling", "claims", "code"),
    [
        (st.Modulus(), st.NoPooling(), ["admissibility"], 0),
        (st.Modulus(), st.Pool(lambda x: 2.0 * x, 1.0, name="sum, declared R = 1"), ["lipschitz"], 1),
        (st.Pointwise(lambda x: 1.1 * x, 1.0, "slope 1.1, declared L = 1"), st.NoPooling(), ["nonlinearity"], 1),
        (st.Pointwise(lambda x: x.tanh(), 1.0, "declared, true"), st.NoPooling(), ["nonlinearity"], 3),
        (st.ReLU(), st.NoPooling(), ["getter"], 3),
    ],
)  # fmt: skip
def test_exit_code_says_what_was_found(capsys, monkeypatch, net, nonlinearity, pooling, claims, code):
    layer = st.Layer(st.frames.Wavelets(J=2), nonlinearity, pooling)
    monkeypatch.setattr(config, "load", lambda path: st.FeatureExtractor([layer], st.Grid.line(32)))
    claimed = [part for claim in claims for part in ("--claim", claim)]
    found, out, _ = told(capsys, "verify", net(), *claimed)
    assert found == code
    assert ("VIOLATED" in out) == (code == 1)


def test_report_passes_its_arguments_on(capsys, monkeypatch):
    calls = []
    monkeypatch.setattr(report, "write", lambda out, **options: calls.append((out, options)) or 3)
    assert told(capsys, "report", "--out", "there", "--quick", "--seed", "7", "--jobs", "4")[0] == 3
    assert told(capsys, "report")[0] == 3
    assert calls == [
        ("there", {"quick": True, "seed": 7, "jobs": 4}),
        ("report", {"quick": False, "seed": 0, "jobs": 2}),
    ]


@pytest.mark.parametrize(("error", "code"), [(RuntimeError("bug"), report.CRASHED), (KeyboardInterrupt(), 130)])
def test_an_unexpected_error_has_a_code_of_its_own(capsys, monkeypatch, error, code):
    def fail():
        raise error

    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(SystemExit) as stop:
        cli.run()
    assert stop.value.code == code not in (0, 1, 2, 3)
    assert ("bug" in capsys.readouterr().err) == isinstance(error, RuntimeError)


def test_python_m_runs_it():
    def start(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "scatter_theory", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
        )

    listed = start("list", "claims")
    assert listed.returncode == 0 and "translation" in listed.stdout
    assert start("--version").stdout.strip() == st.__version__


def test_the_installed_command_uses_the_same_exit_codes():
    """Python itself leaves with 1 after an uncaught error, which would read as a violation."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"scatter-theory": f"{cli.run.__module__}:{cli.run.__name__}"}
