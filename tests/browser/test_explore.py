"""Sliders in JupyterLab, driven by a real browser: `pytest -m browser tests/browser`.

Needs JupyterLab and ipywidgets (extra `notebook`), Chromium, and the package playwright, which brings no browser here.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore")]  # of servers and kernels

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
QUIET = '{"fetchNews": "false", "checkForUpdates": false}'
DIRECT = build_opener(ProxyHandler({}))


@pytest.fixture
def browser():
    """Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the path")
    with playwright.sync_playwright() as kit:
        chromium = kit.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on the loopback with folders of its own: its address, its token, and the folder of notebooks."""
    pytest.importorskip("jupyterlab", reason="comes with the extra `notebook`")
    pytest.importorskip("ipywidgets", reason="comes with the extra `notebook`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {name: tmp_path / name for name in ("config", "data", "runtime", "settings", "notebooks")}
    for folder in folders.values():
        folder.mkdir()
    quiet = folders["settings"] / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(QUIET)
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
        "JUPYTER_CONFIG_DIR": str(folders["config"]), "JUPYTER_DATA_DIR": str(folders["data"]),
        "JUPYTER_RUNTIME_DIR": str(folders["runtime"]), "JUPYTERLAB_SETTINGS_DIR": str(folders["settings"]),
    }  # fmt: skip
    token = secrets.token_hex(16)
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}",
        f"--ServerApp.root_dir={folders['notebooks']}", f"--IdentityProvider.token={token}",
        *(["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
    ]  # fmt: skip
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(server, f"{address}/api/status?token={token}", tmp_path / "server.log")
        yield address, token, folders["notebooks"]
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_for(server, address, log):
    """Until the server answers; fail with its log if it ends or takes a minute."""
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            if DIRECT.open(address, timeout=5).status == 200:
                return
        except (URLError, OSError):
            time.sleep(0.25)
    raise AssertionError(log.read_text())


def notebook(folder, source):
    """A notebook of one cell, at the given place."""
    nbformat = pytest.importorskip("nbformat", reason="comes with the extra `notebook`")
    cell = nbformat.v4.new_code_cell(source, id="explore")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), folder / "explore.ipynb")


def source_of(page):
    """Address of the picture that is shown."""
    return page.eval_on_selector(".jp-OutputArea img.widget-image", "image => image.src")


def run_all(page):
    """Run all cells; where JupyterLab asks for the kernel first, take the one it proposes."""
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=30_000)
    page.wait_for_selector("text=Python 3 (ipykernel) | Idle", timeout=30_000)
    page.click("li.lm-MenuBar-item:has-text('Run')")
    page.click("li.lm-Menu-item[data-command='runmenu:run-all']")
    page.wait_for_selector(".jp-Dialog .jp-mod-accept, .jp-OutputArea img.widget-image", timeout=30_000)
    if page.locator(".jp-Dialog .jp-mod-accept").count():
        page.click(".jp-Dialog .jp-mod-accept")


@pytest.mark.parametrize(
    ("call", "setting", "presses"),
    [("frame()", "j", 2), ("deformation()", "sup_tau", 1)],
    ids=["frame", "deformation"],
)
def test_a_slider_moves_the_figure(browser, lab, tmp_path, call, setting, presses):
    address, token, folder = lab
    notebook(folder, f"import scatter_theory as st\n\nst.explore.{call}")
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{address}/lab/tree/explore.ipynb?token={token}&reset")
    page.wait_for_selector(".jp-CodeCell", timeout=30_000)
    run_all(page)
    page.wait_for_selector(".jp-OutputArea img.widget-image", timeout=30_000)
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    page.wait_for_function("document.querySelector('.jp-OutputArea img.widget-image').naturalWidth > 300")
    page.screenshot(path=tmp_path / "before.png")
    before = source_of(page)

    handle = page.locator(f".explore-{call.partition('(')[0]}-{setting} .noUi-handle")
    for _ in range(presses):
        handle.press("ArrowRight")
    started = time.perf_counter()
    page.wait_for_function(
        "before => document.querySelector('.jp-OutputArea img.widget-image').src !== before", arg=before, timeout=10_000
    )
    seconds = time.perf_counter() - started
    page.wait_for_timeout(2000)
    page.click("text=The code that makes this figure")
    page.wait_for_timeout(1000)
    page.screenshot(path=tmp_path / "after.png")
    print(f"{seconds:.2f} s after the key; screenshots in {tmp_path}")
    code = page.inner_text(".jp-OutputArea .widget-html pre")
    assert {"frame()": "J=6", "deformation()": "sizes = [0.125, 0.5, 2.0]"}[call] in code
