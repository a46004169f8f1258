"""Results as text and as HTML: aligned tables with one plain sentence. HTML is escaped, self-contained, no scripts."""

from scatter_theory.render._html import check_html, table_html, verdict_html
from scatter_theory.render._page import verdict_page
from scatter_theory.render._text import check_text, table_text, verdict_text

__all__ = ["check_html", "check_text", "table_html", "table_text", "verdict_html", "verdict_page", "verdict_text"]
