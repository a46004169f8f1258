"""The tables of contents, read off the list of pages in `docs/index.md`: no page needs a directive of its own."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ITEM = re.compile(r"^( *)- \[[^\]]*\]\(([^)#]+)\.(?:md|ipynb)\)", flags=re.MULTILINE)


def children(index: str, text: str) -> dict[str, list[str]]:
    """Documents below each document: items of the list below the index, indented items below the item before them.

    Parameters
    ----------
    index : str
        Document of the list, ``"docs/index"``.
    text : str
        Its source.

    Returns
    -------
    dict of str to list of str
        Names of documents, from the root of the repository.
    """
    tree: dict[str, list[str]] = {index: []}
    for indent, target in ITEM.findall(text):
        document = posixpath.normpath(posixpath.join(posixpath.dirname(index), target))
        parent = tree[index][-1] if indent else index
        tree.setdefault(parent, []).append(document)
    return tree


def append(app: Sphinx, document: str, source: list[str]) -> None:
    """Give a page the hidden table of contents of its children."""
    index = str(app.config.root_doc)
    below = children(index, (Path(app.srcdir) / f"{index}.md").read_text(encoding="utf-8")).get(document)
    if below:
        source[0] += "\n\n```{toctree}\n:hidden:\n\n" + "\n".join(f"/{name}" for name in below) + "\n```\n"


def setup(app: Sphinx) -> dict[str, bool]:
    """Listen to pages as they are read."""
    app.connect("source-read", append)
    return {"parallel_read_safe": True}
