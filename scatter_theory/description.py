"""What can be said of an extractor before it runs: the table of its layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scatter_theory.network import FeatureExtractor

WIDTHS = (5, 14, 6, 5, 8, 9, 9, 7, 6)


def layer_table(phi: FeatureExtractor) -> str:
    """Table of the layers: grid, atoms, kind of bank, maps, frame bounds, constants, bins under the output atom."""
    rows = [_row("layer", "grid", "atoms", "kind", "maps", "A", "B", "L R", "bins", "module")]
    for n, bank in enumerate(phi.banks):
        A, B = bank.bounds(real=phi.real[n])
        bins = int((bank.output.abs() > 0.5 * bank.output.abs().max()).sum())
        maps = "real" if phi.real[n] else "complex"
        if n < phi.depth:
            layer = phi.layers[n]
            constant = f"{phi.layer_constant(n + 1).value:.4g}"
            module = f"{layer.frame!r}, {layer.nonlinearity!r}, {layer.pooling!r}"
        else:
            constant, module = "", f"output atom of {phi.final!r}"
        shape = "x".join(map(str, phi.grids[n].shape))
        rows.append(_row(n + 1, shape, len(bank), bank.kind, maps, f"{A:.4g}", f"{B:.4g}", constant, bins, module))
    rows.append(
        "bins: DFT frequencies at which the output atom is above half of its peak; with few of them the features are "
        "nearly constant."
    )
    return "\n".join(rows)


def _row(*cells: Any) -> str:
    """One line; the last cell is not padded."""
    return " ".join(f"{cell!s:>{width}}" for cell, width in zip(cells, WIDTHS, strict=False)) + f"  {cells[-1]}"
