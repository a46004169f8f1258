"""Pieces of the page: tables that sort, figures with the code that makes them, and the document around them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:84em;margin:2em auto;padding:0 1em;color:#1a1a1a;background:#fff}
h1{font-size:1.7em} h2{margin-top:2.2em;border-top:1px solid #bbb;padding-top:.7em} h3{margin:1.2em 0 .2em}
.wide{overflow-x:auto} table{border-collapse:collapse;font-size:12.5px;font-variant-numeric:tabular-nums}
th,td{padding:.18em .55em;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th:first-child,td:first-child,.words th,.words td{text-align:left} thead th{border-bottom:2px solid #888}
tbody tr:hover{background:#f3f6fa} .words td:last-child{white-space:normal;min-width:20em}
th[tabindex]{cursor:pointer} th[tabindex]::after{content:"\\2195";color:#999;padding-left:.3em}
th[aria-sort=ascending]::after{content:"\\2191";color:#1a1a1a}
th[aria-sort=descending]::after{content:"\\2193";color:#1a1a1a}
img{max-width:100%;height:auto} figure{margin:1em 0} figcaption,details{font-size:12.5px;color:#444}
pre{overflow-x:auto;background:#f5f5f5;color:#1a1a1a;padding:.6em;margin:.3em 0;line-height:1.35}
summary{cursor:pointer;width:max-content}
.four{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26em,100%),1fr))}
.four{gap:.5em 2em;max-width:76em;margin:1em 0}
.four figure{margin:0;min-width:0} .four img{max-height:23em;width:auto}
.alarm{border-left:4px solid #B34700;padding-left:1em} .good{border-left:4px solid #0072B2;padding-left:1em}
nav{font-size:13px;columns:14em 3} section.family{margin-top:2.5em} code{overflow-wrap:anywhere}
@media(max-width:40em){body{margin:1em auto;padding:0 .7em} h1{font-size:1.35em}
body>figure img{max-width:none;width:52em}}
"""

#: A click on a head, or Enter, sorts by its column: numbers by value, then words, empty cells last. Without scripts the
#: tables stay in the order of the report.
_SCRIPT = r"""
for (const table of document.querySelectorAll(".wide table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const key = (row, k) => {
    const text = row.cells[k].textContent.trim(), number = text.match(/^[\[(]?(-?\d+(\.\d+)?(e[+-]?\d+)?)(?![-\w])/);
    return number ? [0, Number(number[1])] : text ? [1, text] : [2, ""];
  };
  heads.forEach((head, k) => {
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
      const order = (a, b) => a[0] !== b[0] ? a[0] - b[0] : down * (a[0] ? a[1].localeCompare(b[1]) : a[1] - b[1]);
      body.append(...[...body.rows].sort((one, other) => order(key(one, k), key(other, k))));
    };
    head.tabIndex = 0;
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
  });
}
"""


def document(title: str, body: str) -> str:
    """The whole file."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>{body}<script>{_SCRIPT}</script></body></html>\n"
    )


def section(title: str, body: str) -> str:
    """A heading and what belongs to it."""
    return f"<h2>{escape(title)}</h2>{body}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> str:
    """A table that scrolls where it is too wide; `words` aligns it to the left."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    style = ' class="words"' if words else ""
    return f'<div class="wide"><table{style}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure(path: Path, text: str, code: str) -> str:
    """A picture, its caption, and the code that makes it."""
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img alt="{escape(text)}" src="data:image/png;base64,{data}">'
    made = f"<details><summary>code</summary><pre>{escape(code)}</pre></details>"
    return f"<figure><div class='wide'>{image}</div><figcaption>{escape(text)}</figcaption>{made}</figure>"
