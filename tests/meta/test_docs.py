"""Every Python block and every figure of the documentation runs, and every link leads somewhere."""

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


def blocks(page, kind="python"):
    """Code of the fenced blocks of a kind, without the options above it."""
    fence = rf"^```{kind}\n(?::[^\n]*\n)*(.*?)^```"
    return re.findall(fence, page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


#: Figures that the build makes: (page, its number there, code).
FIGURES = [(page, k, code) for page in PAGES for k, code in enumerate(blocks(page, r"\{plot\}"), 1)]
LEADS = ("Statement|Theorem|Criterion", "Hypotheses", "Proof", "On a grid|On samples", "Check")


def slug(title):
    """Anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def parts(page):
    """Text below every heading, those below it included, by anchor; the whole page by ``""``."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    pieces = re.split(r"^(#+) (.*)$", text, flags=re.MULTILINE)[1:]
    found = {"": text}
    for k in range(0, len(pieces), 3):
        below = next((i for i in range(k + 3, len(pieces), 3) if len(pieces[i]) <= len(pieces[k])), len(pieces))
        found[slug(pieces[k + 1])] = "".join(
            f"{a} {b}{c}" for a, b, c in zip(*[iter(pieces[k:below])] * 3, strict=True)
        )
    return found


def run(code, name, monkeypatch):
    """Execute code as a module of its own, and check that it leaves the settings of torch alone."""
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    before = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    with torch.random.fork_rng():
        exec(compile(code, f"<{name}>", "exec"), module.__dict__)
    assert (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()) == before


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=name)
def test_code_runs(page, tmp_path, monkeypatch):
    """All blocks of a page, one after another, as a module of its own, in an empty folder; warnings are errors."""
    monkeypatch.chdir(tmp_path)
    run("\n".join(blocks(page)), f"code_of_{page.stem}", monkeypatch)
    pyplot.close("all")


@pytest.mark.parametrize(
    ("page", "code"), [(page, code) for page, _, code in FIGURES], ids=[f"{name(p)}-{k}" for p, k, _ in FIGURES]
)
def test_figures_are_drawn(page, code, tmp_path, monkeypatch):
    """Each block by itself, as the build runs it; exactly one figure is left open."""
    monkeypatch.chdir(tmp_path)
    pyplot.close("all")
    run(code, f"figure_of_{page.stem}", monkeypatch)
    assert len(pyplot.get_fignums()) == 1
    assert max(pyplot.gcf().get_size_inches()) <= 10, "too wide for a phone"
    pyplot.close("all")


def test_every_figure_is_described_in_words():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        described = re.findall(r"^```\{plot\}\n:alt: \S[^\n]{30,}\n\n", text, flags=re.MULTILINE)
        assert len(described) == text.count("```{plot}"), name(page)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)", parts(page)[""])
    assert [file for file, _ in links if not (page.parent / file).exists()] == []
    places = [(page.parent / file if file else page, anchor) for file, anchor in links if anchor]
    assert [(place.name, anchor) for place, anchor in places if anchor not in parts(place)] == []


def test_every_page_is_in_the_index():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = {(ROOT / "docs" / target).resolve() for target in re.findall(r"\]\(([^)#]+\.md)\)", index)}
    assert {p.resolve() for p in PAGES} - {(ROOT / "docs" / "index.md").resolve()} <= listed


# --- pages that list what exists -------------------------------------------------------------------------------------


def rows(page):
    """Cells of every row of the tables of a page."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def theorems():
    """Rows of the tables of theorems: name, the file and the anchor that it leads to, statement, needs, function."""
    for cells in rows(ROOT / "docs" / "theory" / "index.md"):
        if found := re.fullmatch(r"\[`?([^`\]]+)`?\]\((\w+\.md)(?:#([\w-]+))?\)", cells[0]):
            yield found[1], ROOT / "docs" / "theory" / found[2], found[3] or "", *cells[1:]


def test_every_theorem_is_listed_with_its_verifier():
    listed = {key: row for key, *row in theorems()}
    assert set(theory.THEOREMS) <= set(listed) and len(listed) >= len(theory.THEOREMS) + 14
    for key, theorem in theory.THEOREMS.items():
        _, _, statement, needs, check = listed[key]
        assert statement and needs and check == f"`verify.{theorem.verifier}`" and hasattr(verify, theorem.verifier)


def test_every_theorem_has_all_its_parts():
    """Statement, hypotheses, proof, grid and check in the part that the index names; a figure on its page."""
    for key, page, anchor, _, _, check in theorems():
        leads = re.findall(r"(?:^#+ |\*)([A-Z][^*\n]*)", parts(page)[anchor], flags=re.MULTILINE)
        assert [lead for lead in LEADS if not any(re.match(lead, found) for found in leads)] == [], key
        assert check.strip("`").split(".")[-1] in parts(page)[""], (key, check)
        assert blocks(page, r"\{plot\}"), key


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
