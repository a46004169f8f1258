"""Who imports whom, and what `import scatter_theory` loads and costs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = (
    *("matplotlib", "kymatio", "pywt", "scipy.optimize", "scipy.signal", "scipy.stats", "pandas", "IPython", "sklearn"),
    *("xarray", "dask", "distributed", "zarr", "ipywidgets"),
)

LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"

IMPORT = f"""
import json, sys, time
import torch
before = set(sys.modules)
start = time.process_time()
import scatter_theory
seconds = time.process_time() - start
print(json.dumps(dict(seconds=seconds, loaded=sorted(set({HEAVY!r}) & (set(sys.modules) - before)))))
"""


def run(code, folder):
    """Run code in a fresh interpreter whose first import folder is `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "error", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def copied(folder):
    """Copy what the linter reads, so that a test may break it."""
    shutil.copytree(ROOT / "scatter_theory", folder / "scatter_theory", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_imports_only_go_down():
    result = run(LINT, ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "line", "blamed"),
    [
        ("grid.py", "import scatter_theory.results", "grid is not allowed to import scatter_theory.results"),
        ("grid.py", "def f():\n    import scatter_theory.theory", "not allowed to import scatter_theory.theory"),
        ("constants.py", "import torch", "constants is not allowed to import torch"),
        ("unlisted.py", "", "scatter_theory.unlisted"),
    ],
    ids=["upward", "upward inside a function", "torch in arithmetic", "module in no layer"],
)
def test_the_import_contract_can_be_broken(tmp_path, file, line, blamed):
    folder = copied(tmp_path)
    with (folder / "scatter_theory" / file).open("a") as stream:
        stream.write(f"\n{line}\n")
    result = run(LINT, folder)
    assert result.returncode == 1 and blamed in result.stdout, result.stdout + result.stderr


def test_import_is_light():
    """Nothing heavy beyond what torch loads itself; processor time, the best of three, as the machine may be busy."""
    seconds = []
    for _ in range(3):
        result = run(IMPORT, ROOT)
        assert result.returncode == 0, result.stderr
        answer = json.loads(result.stdout)
        assert answer["loaded"] == []
        seconds.append(answer["seconds"])
        if seconds[-1] < 0.5:
            break
    assert min(seconds) < 1.0, f"`import scatter_theory` takes {min(seconds):.2f} s beyond `import torch`"


def test_import_leaves_torch_as_it_was():
    code = """
import torch
state = lambda: (torch.get_default_dtype(), torch.get_num_threads(), torch.initial_seed(), torch.is_grad_enabled())
before = state(), torch.get_rng_state()
import scatter_theory
assert state() == before[0] and torch.equal(torch.get_rng_state(), before[1])
"""
    result = run(code, ROOT)
    assert result.returncode == 0, result.stderr
