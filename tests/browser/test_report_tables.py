"""Tables of the report sort by a click and by a key, in a real browser: numbers by value, empty cells last."""

import re
import shutil
import subprocess

import pytest

from scatter_theory.report import _html

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
ROWS = [
    ["b", "0.9 ✗", "3e-16", "[0.5, 1]"],
    ["a", "10 of 28", "0", "[0.25, 1]"],
    ["10 %", "", "-1e-3", "–"],
    ["d", "2.5", "7", "[12, 13]"],
]


def first_column(page, action, folder):
    """First cells of the rows after an action in a browser, and the state of the heads."""
    path = folder / "page.html"
    path.write_text(page.replace("</body>", f"<script>{action}</script></body>"), encoding="utf-8")
    command = [CHROMIUM, *SWITCHES, f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    heads, body = re.search(r"<thead>(.*?)</thead><tbody>(.*?)</tbody>", shown, re.DOTALL).groups()
    return re.findall(r"<tr><td>(.*?)</td>", body), re.findall(r'aria-sort="(\w+)"', heads)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path")
def test_tables_sort(tmp_path):
    page = _html.document("a page", _html.table(["name", "words", "number", "interval"], ROWS))
    click = "document.querySelectorAll('th')[{}].click();"
    as_written, names = ["b", "a", "10 %", "d"], ["10 %", "a", "b", "d"]
    assert first_column(page, "", tmp_path) == (as_written, [])
    assert first_column(page, click.format(0), tmp_path) == (names, ["ascending"])
    assert first_column(page, click.format(1), tmp_path) == (["b", "d", "a", "10 %"], ["ascending"])
    assert first_column(page, click.format(1) * 2, tmp_path) == (["a", "d", "b", "10 %"], ["descending"])
    assert first_column(page, click.format(2), tmp_path) == (["10 %", "a", "b", "d"], ["ascending"])
    assert first_column(page, click.format(3) * 2, tmp_path) == (["d", "b", "a", "10 %"], ["descending"])
    key = "document.querySelectorAll('th')[2].dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}));"
    assert first_column(page, key, tmp_path) == (["10 %", "a", "b", "d"], ["ascending"])
