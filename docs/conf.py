"""How the pages, the notebooks and the docstrings become a site: `./run docs`.

The source folder is the root of the repository, so that links between pages, notebooks, studies and files are those
that work where the files are read unbuilt.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "docs" / "extensions"), str(ROOT)]

import scatter_theory  # noqa: E402

project = "scatter_theory"
author = copyright = "The scatter_theory developers"
version = release = scatter_theory.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
    "rooms",
    "contents",
    "figures",
]

root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/*.ipynb", "studies/*/README.md", "CHANGELOG.md"]
exclude_patterns = [".*", "docs/_build", "report", "scatter_theory", "tests", "benchmarks"]

# Pages: Markdown with formulas between dollar signs, nothing else that a code host would not show.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Formulas that are wider than the page, on a phone most of them, are broken into lines.
mathjax4_config = {"output": {"displayOverflow": "linebreak"}}

# Notebooks are committed without outputs; they run once, and again only when they change. A failing cell fails the
# build.
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "docs" / "_build" / "notebooks")
nb_execution_raise_on_error = True
nb_execution_timeout = 300

# Figures of pages: blocks of code that stand by themselves, made anew when their page changes.
plot_include_source = True
plot_pre_code = ""
plot_formats = [("png", 150)]
plot_html_show_formats = False
plot_html_show_source_link = False

# Docstrings: numpydoc sections, types as written in the signatures' documentation.
default_role = "py:obj"
autodoc_typehints = "none"
autodoc_member_order = "groupwise"
autosummary_generate = False
suppress_warnings = ["autosummary.import_cycle"]  # the full name is wanted: some rooms show names of others
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "scatter_theory"
html_static_path = ["_static"]
html_css_files = ["layout.css"]
html_theme_options = {"show_toc_level": 2, "navigation_depth": 2, "show_prev_next": False}
# Pages without pages below them have no use for the column that would list those.
SINGLE = (
    "docs/tour",
    "docs/tradeoffs",
    "docs/performance",
    "docs/glossary",
    "docs/bibliography",
    "docs/architecture",
    "CHANGELOG",
)
html_sidebars = {page: [] for page in SINGLE}
