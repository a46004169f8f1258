"""The directive `room`: all public names of one module, first as a table, then with their docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from types import GenericAlias
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PAGES = Path(__file__).resolve().parents[1] / "api"

# Plain letters of docstrings, such as |z| and (*batch, n_paths), are no markup: escaped, outside formulas and code.
PLAIN = re.compile(
    r"(?P<kept>^(?P<indent> *)\.\. math::[^\n]*\n(?:(?P=indent) +\S[^\n]*\n|[ ]*\n)*"  # a displayed formula
    r"|^ *>>> [^\n]*\n(?: *\S[^\n]*\n)*"  # an example
    r"|``.*?``|:\w+:`.*?`)"  # inline code, roles
    r"|(?<![\\*\w])\*(?=[a-z_.]+[,)])|\|(?=\S)|(?<=\w)_(?=[,)])",
    flags=re.MULTILINE | re.DOTALL,
)


def public(module: Any) -> list[str]:
    """Names of `__all__`, or those that the module defines itself and that have no leading underscore."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return list(getattr(module, "__all__", None) or [name for name in own if not name.startswith("_")])


@cache
def rooms() -> list[str]:
    """Modules that have a directive on some page of the reference."""
    pages = "".join(page.read_text(encoding="utf-8") for page in sorted(PAGES.glob("*.md")))
    return re.findall(r"^```\{room\} (\S+)", pages, flags=re.MULTILINE)


def home(name: str, value: Any, module: str) -> str:
    """Room that describes a name: the one with the longest name, of all that have it and contain its definition."""
    defined = f"{getattr(value, '__module__', module)}."
    leading = [
        r for r in rooms() if defined.startswith(f"{r}.") and getattr(importlib.import_module(r), name, 0) is value
    ]
    return max(leading, key=len, default=module)


def entry(module: str, name: str, value: Any) -> str:
    """The directive of autodoc that suits a name; nothing where another room describes it."""
    full = f"{module}.{name}"
    if home(name, value, module) != module:
        return ""
    if isinstance(value, GenericAlias):
        return f".. py:type:: {full}\n   :canonical: {value}\n"
    if inspect.isclass(value):
        return f".. autoclass:: {full}\n   :members:\n   :show-inheritance:\n"
    return f".. autofunction:: {full}\n" if inspect.isroutine(value) else f".. autodata:: {full}\n   :no-value:\n"


class Room(SphinxDirective):
    """All public names of the module that is given as the argument, or those in the body, one a line."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Write the directives of autosummary and autodoc, and have them parsed."""
        module = importlib.import_module(self.arguments[0])
        names = list(self.content) or [n for n in public(module) if not inspect.ismodule(getattr(module, n))]
        values = {name: getattr(module, name) for name in names}
        shown = {name: value for name, value in values.items() if not isinstance(value, GenericAlias)}
        rows = [f"   ~{home(name, value, module.__name__)}.{name}" for name, value in shown.items()]
        described = [entry(module.__name__, name, value) for name, value in values.items()]
        text = "\n".join([f".. automodule:: {module.__name__}\n", ".. autosummary::\n", *rows, "", *described])
        return self.parse_text_to_nodes(f"```{{eval-rst}}\n{text}\n```")


def escape(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Escape what is no markup, before numpydoc reads a docstring."""
    text = PLAIN.sub(lambda found: found["kept"] or f"\\{found[0]}", "\n".join(lines) + "\n")
    lines[:] = text.removesuffix("\n").split("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive, and the hook ahead of numpydoc's."""
    app.add_directive("room", Room)
    app.connect("autodoc-process-docstring", escape, priority=100)
    return {"parallel_read_safe": True}
