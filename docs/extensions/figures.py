"""The directive `plot` of matplotlib in Markdown: the code of a fenced block, and the figure that it makes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from matplotlib.sphinxext import plot_directive  # noqa: TID253 - not the package
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx


class Plot(SphinxDirective):
    """Options and body of matplotlib's directive, whose text a parser of Markdown does not take as it is."""

    has_content = True
    option_spec = plot_directive.PlotDirective.option_spec

    def run(self) -> list[nodes.Node]:
        """Run the code, and parse what matplotlib writes about it; code that fails is a warning of the build."""
        written: list[str] = []
        machine = SimpleNamespace(
            document=self.state.document, insert_input=lambda lines, source: written.extend(lines)
        )
        errors = plot_directive.run([], self.content, self.options, machine, self.state, self.lineno)
        return errors + self.parse_text_to_nodes("\n".join(["```{eval-rst}", *written, "```"]))


def setup(app: Sphinx) -> dict[str, bool]:
    """Set up matplotlib's directive, and take its name."""
    app.setup_extension("matplotlib.sphinxext.plot_directive")
    app.add_directive("plot", Plot, override=True)
    return {"parallel_read_safe": True}
