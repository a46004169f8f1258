"""Every notebook runs, draws, and equals its paired script."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from matplotlib import image

jupytext = pytest.importorskip("jupytext")
nbclient = pytest.importorskip("nbclient")

FOLDER = Path(__file__).parents[2] / "notebooks"
SCRIPTS = sorted(FOLDER.glob("*.py"))

pytestmark = pytest.mark.filterwarnings("ignore")  # of the kernel's own machinery; the notebooks' cells raise theirs


def pictures(notebook):
    """PNG outputs of all cells as arrays."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            png = output.get("data", {}).get("image/png")
            if png:
                yield image.imread(io.BytesIO(base64.b64decode(png)))


def test_there_are_notebooks():
    expected = {
        "binary_networks",
        "choosing_a_frame",
        "deformation",
        "energy_decay",
        "extractor",
        "frames",
        "interpolation",
        "learned_frames",
        "pruning",
        "sharper_bounds",
        "translation_invariance",
        "your_own_network",
    }
    assert expected <= {script.stem for script in SCRIPTS}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_pair_is_in_step(script):
    paired = jupytext.read(script.with_suffix(".ipynb"))
    source = jupytext.read(script)
    assert [c.source for c in paired.cells] == [c.source for c in source.cells]
    assert all(not c.get("outputs") for c in paired.cells), "committed notebooks carry no outputs"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda s: s.stem)
def test_notebook_runs_and_draws(script, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # what Jupyter would choose
    notebook = jupytext.read(script)
    resources = {"metadata": {"path": tmp_path}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    drawn = list(pictures(notebook))
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    plots = sum(".plot(" in source or "subplots" in source for source in code)
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                (tmp_path / f"{script.stem}_{number}.png").write_bytes(base64.b64decode(output["data"]["image/png"]))
    assert len(drawn) >= plots > 0
    assert all(picture[..., :3].std() > 0.01 for picture in drawn), "a figure is blank"
