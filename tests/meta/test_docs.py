"""Every Python block of the documentation runs, page by page, and every link leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
import yaml
from matplotlib import pyplot

from scatter_theory import theory, verify

ROOT = Path(__file__).parents[2]
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts)


def name(page):
    return str(page.relative_to(ROOT))


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=name)
def test_code_runs(page, tmp_path, monkeypatch):
    """All blocks of a page, one after another, as a module of its own, in an empty folder; warnings are errors."""
    module = types.ModuleType(f"code_of_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    before = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    with torch.random.fork_rng():
        exec(compile("\n".join(blocks(page)), f"<{name(page)}>", "exec"), module.__dict__)
    pyplot.close("all")
    assert (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()) == before


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#]+\.md)\)", index)}
    assert {p.resolve() for p in PAGES} - {(ROOT / "docs" / "index.md").resolve()} <= listed


# --- pages that list what exists -------------------------------------------------------------------------------------


def rows(page):
    """Cells of every row of the tables of a page."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_theorem_is_listed_with_its_verifier_and_a_page():
    folder = ROOT / "docs" / "theory"
    listed = {row[0].strip("`"): row for row in rows(folder / "index.md")}
    assert set(theory.THEOREMS) <= set(listed)
    for key, theorem in theory.THEOREMS.items():
        _, statement, needs, check, proof = listed[key]
        assert statement and needs and check == f"`verify.{theorem.verifier}`" and hasattr(verify, theorem.verifier)
        assert (folder / re.search(r"\]\((\w+\.md)\)", proof)[1]).is_file()


def test_what_is_added_takes_under_thirty_lines():
    pages = sorted((ROOT / "docs" / "howto").glob("add_*.md"))
    listed = {row[0] for row in rows(ROOT / "docs" / "howto" / "index.md")}
    assert len(pages) >= 7
    for page in pages:
        assert any(f"({page.name})" in cell for cell in listed), page.name
        assert all(len(block.splitlines()) < 30 for block in blocks(page)), page.name


def test_the_bibliography_has_what_is_cited():
    text = " ".join((ROOT / "docs" / "bibliography.md").read_text(encoding="utf-8").split())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    works = [citation["preferred-citation"], *citation["references"]]
    assert [work["title"] for work in works if work["title"] not in text] == []
    assert [work["doi"] for work in works if work.get("doi", "") not in text] == []
    sources = "".join(p.read_text(encoding="utf-8") for p in [*(ROOT / "scatter_theory").rglob("*.py"), *PAGES])
    cited = set(re.findall(r"arXiv[: ](\d{4}\.\d{4,5})", sources))
    assert cited <= set(re.findall(r"\d{4}\.\d{4,5}", text))


# --- the site --------------------------------------------------------------------------------------------------------


def test_the_index_gives_every_page_one_parent():
    """Contents are read off the list in the index: top items below it, indented ones below the item before them."""
    sys.path.insert(0, str(ROOT / "docs" / "extensions"))
    try:
        from contents import children
    finally:
        sys.path.pop(0)
    text = (
        "- [Tour](tour.md): short\n- [Theory](theory/index.md)\n  - [A](theory/a.md)\n  - [B](../notebooks/b.ipynb)\n"
    )
    assert children("docs/index", text) == {
        "docs/index": ["docs/tour", "docs/theory/index"],
        "docs/theory/index": ["docs/theory/a", "notebooks/b"],
    }
    found = children("docs/index", (ROOT / "docs" / "index.md").read_text(encoding="utf-8"))
    listed = [document for below in found.values() for document in below]
    assert len(listed) == len(set(listed))
    beside = {
        p.relative_to(ROOT).with_suffix("")
        for p in [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("studies/*/README.md")]
    }
    assert {document.as_posix() for document in beside} <= set(listed)


def test_plain_letters_of_docstrings_are_no_markup(monkeypatch):
    pytest.importorskip("sphinx", reason="comes with the extra `docs`")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "extensions"))
    from rooms import escape

    kept = [r".. math:: |z| \le (*batch, n)", "", "``|z|`` and :math:`|z|`", ">>> (*batch,)", "|out|", ""]
    lines = [*kept, "x : (*batch, d, *grid.shape) array", "    |x| of ``(*batch, n)``, n_ in (n_, d)."]
    escape(None, "", "", None, None, lines)
    assert lines == [*kept, r"x : (\*batch, d, \*grid.shape) array", r"    \|x| of ``(*batch, n)``, n_ in (n\_, d)."]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    """All pages and the whole reference; the notebooks have tests of their own and are not run here."""
    pytest.importorskip("sphinx", reason="comes with the extra `docs`")
    result = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", "docs", "-D", "nb_execution_mode=off",
         "-d", str(tmp_path / "trees"), ".", str(tmp_path / "html")],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "html" / "docs" / "api" / "verify.html").stat().st_size > 50_000
