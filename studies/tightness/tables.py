"""From the sweeps to the table of the map: one row per network and part of its features."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import scatter_theory as st
from studies.shared.summary import table_lines
from studies.tightness.plan import Network

#: Bounds are relative to the norm of the signal: below this, measured values are rounding errors.
ROUNDING = 1e-9
#: What is written instead of a ratio, by outcome; and where the bound is 0 up to rounding.
MARKS = {
    "VIOLATED": "violated",
    "INCONCLUSIVE": "undecided",
    "VACUOUS": "vacuous",
    "INAPPLICABLE": "no statement",
}
ZERO = "bound 0"


@dataclass(frozen=True)
class Row(Network):
    """Worst case of one part of the features of one network.

    Parameters
    ----------
    claim : str
        "translation" or "deformation".
    part : str
        "layer n"; for deformations also "signal", before the network, and "all layers".
    x : float
        Shift or size of the displacement at which the ratio is largest, in samples.
    measured, bound : float
        There, relative to the norm of the signal.
    ratio : float
        Measured over bound.
    mark : str
        Empty if the ratio says how tight the bound is; else why it does not, see `MARKS` and `ZERO`.
    """

    claim: str = ""
    part: str = ""
    x: float = 0.0
    measured: float = 0.0
    bound: float = 0.0
    ratio: float = 0.0
    mark: str = ""


def rows(claim: str, kept: Sequence[Network], result: st.SweepResult) -> list[Row]:
    """The largest ratio of every part of every network, over all sizes; the networks are those of the sweep, in order.

    Raises
    ------
    ValueError
        If a cell has no result, or networks and sweep differ.
    """
    names = ("grid.shape", "frame", "nonlinearity", "pooling", "depth")
    cells = itertools.groupby(result.table(points=True), lambda line: tuple(line[name] for name in names))
    return [row for network, (_, lines) in zip(kept, cells, strict=True) for row in _parts(claim, network, lines)]


def _parts(claim: str, network: Network, lines: Iterable[Mapping[str, Any]]) -> list[Row]:
    found: dict[str, Row] = {}
    for line in lines:
        if line["state"] != "done":
            raise ValueError(f"{claim}, {network}: {line['state']}; run the sweep to its end.")
        mark = MARKS.get(line["outcome"], "" if line["bound"] > ROUNDING else ZERO)
        point = (line["x"], line["measured"], line["bound"], line["ratio"] if mark != ZERO else 0.0)
        row = Row(**vars(network), claim=claim, part=line["series"], **dict(zip(_POINT, point, strict=True)), mark=mark)
        if row.part not in found or _rank(row) > _rank(found[row.part]):
            found[row.part] = row
    return list(found.values())


_POINT = ("x", "measured", "bound", "ratio")


def _rank(row: Row) -> tuple[bool, bool, float]:
    """Violations first, then what has a ratio that counts, then by ratio."""
    return row.mark == MARKS["VIOLATED"], not row.mark, row.ratio


def worst(table: Iterable[Row], **wanted: Any) -> Row | None:
    """The row to show of those with the given fields; None if there is none."""
    return max((row for row in table if all(getattr(row, k) == v for k, v in wanted.items())), key=_rank, default=None)


def markdown(table: Sequence[Row]) -> str:
    """Outcomes, and the ratios by claim, dimension, non-linearity, pooling and part: median and largest over frames."""
    return (
        "\n\n".join(
            "\n".join([f"{claim}, {_outcomes(lines)}", "", *_ratios(lines)])
            for claim, lines in _by(table, "claim").items()
        )
        + "\n"
    )


def _outcomes(table: Sequence[Row]) -> str:
    counts = Counter(row.mark or "with a ratio" for row in table)
    return ", ".join(f"{count} rows {mark}" for mark, count in counts.most_common())


def _ratios(table: Sequence[Row]) -> list[str]:
    """A line per dimension, non-linearity and pooling; a column per layer, and one for all layers by depth."""
    keys = sorted({_column(row) for row in table})
    body = []
    for names, lines in _by(table, "d", "nonlinearity", "pooling").items():
        body.append([*map(str, names), *(_spread([r for r in lines if _column(r) == key]) for key in keys)])
    return table_lines(["d", "non-linearity", "pooling", *(name for _, name in keys)], body)


def _column(row: Row) -> tuple[int, str]:
    """Place and name of the column of a row."""
    if row.part == "all layers":
        return 2, f"depth {row.depth}"
    return (0, row.part) if row.part == "signal" else (1, row.part)


def _spread(lines: Sequence[Row]) -> str:
    """Median and largest ratio over frames, each with its worst depth."""
    by_frame = [worst(same) for same in _by(lines, "frame").values()]
    ratios = [row.ratio for row in by_frame if not row.mark]
    return f"{statistics.median(ratios):.2g} ({max(ratios):.2g})" if ratios else "–"


def gains(table: Sequence[Row], harder: Sequence[Row]) -> str:
    """What longer searches find: by claim, dimension and part the median and the largest quotient of two ratios."""
    body = []
    for names, lines in _by(harder, "claim", "d", "part").items():
        pairs = [(row, worst(table, **{key: getattr(row, key) for key in _SAME})) for row in lines]
        counted = [(row.ratio, before.ratio) for row, before in pairs if not row.mark and before.ratio]
        found = [(after / before, before, after) for after, before in counted]
        if found:
            most, before, after = max(found)
            middle = statistics.median(quotient for quotient, _, _ in found)
            body.append([*map(str, names), f"{middle:.3g}", f"{most:.3g}", f"{before:.2g} to {after:.2g}"])
    head = ["claim", "d", "part", "gain, median", "gain, largest", "there"]
    return "\n".join(["", "longer searches on networks of two layers", "", *table_lines(head, body), ""])


#: Fields that tell which row is which.
_SAME = ("d", "frame", "nonlinearity", "pooling", "depth", "claim", "part")


def _by(table: Iterable[Row], *names: str) -> dict[Any, list[Row]]:
    """Rows by the values of fields, in order."""
    found: dict[Any, list[Row]] = {}
    for row in table:
        values = tuple(getattr(row, name) for name in names)
        found.setdefault(values[0] if len(names) == 1 else values, []).append(row)
    return found
