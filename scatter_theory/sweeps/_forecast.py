"""What a sweep would do: cells, and paths and bytes of their networks, before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scatter_theory.config import ConfigError
from scatter_theory.sweeps._key import canonical
from scatter_theory.sweeps._measures import MEASURES, built, network_table
from scatter_theory.sweeps._space import Cell


@dataclass(frozen=True)
class Network:
    """One of the different networks of a sweep.

    Parameters
    ----------
    text : str
        Its description, canonical JSON.
    cells : int
        Cells that would be measured on it.
    paths, coefficients : int or None
        Paths of all layers, and feature values per signal; None where the path rule chooses by the signals.
    bytes : int or None
        Features and largest intermediate result of one signal.
    """

    text: str
    cells: int
    paths: int | None
    coefficients: int | None
    bytes: int | None


@dataclass(frozen=True)
class Forecast:
    """What would be done; made by `SweepResult.forecast`.

    Parameters
    ----------
    path : Path
        The store.
    cells, done, failed : int
        All cells, and those that the store has.
    networks : tuple of Network
        The different networks of the cells that would be measured; none for measures of one's own, unless their
        configurations describe one as the measures by name do.
    refused : tuple of (str, str)
        Configurations of networks that cannot be built, and why: their cells would fail.
    """

    path: Path
    cells: int
    done: int
    failed: int
    networks: tuple[Network, ...]
    refused: tuple[tuple[str, str], ...]

    @property
    def missing(self) -> int:
        """Cells that would be measured."""
        return self.cells - self.done - self.failed

    def __str__(self) -> str:
        lines = [
            f"{self.cells} cells in {self.path}: {self.done} done, {self.failed} failed, {self.missing} to be measured"
        ]
        known = [n for n in self.networks if n.paths is not None]
        if self.networks:
            lines.append(f"{len(self.networks)} different networks")
        if known:
            lines[-1] += (
                f", up to {max(n.paths for n in known)} paths, {max(n.coefficients for n in known)} coefficients and "
                f"{max(n.bytes for n in known) / 2**20:.3g} MiB per signal"
            )
        lines += [f"cannot be built: {text}: {why}" for text, why in self.refused]
        return "\n".join(lines)


def forecast(cells: Sequence[Cell], states: Mapping[str, str], path: Path) -> Forecast:
    """Count cells, and build every different network of the missing ones once to ask for its plan.

    Parameters
    ----------
    cells : sequence of Cell
    states : mapping
        ``"done"`` or ``"failed"`` by key.
    path : Path
        The store, to be named.
    """
    found = [states.get(cell.key) for cell in cells]
    counts: dict[str, int] = {}
    refused: dict[str, str] = {}
    for cell, state in zip(cells, found, strict=True):
        if state is not None:
            continue
        try:
            table = network_table(cell.configuration)
        except ConfigError as error:
            refused[cell.text] = str(error)
            continue
        if table is None:
            if cell.measure in MEASURES:
                refused[cell.text] = "there is no network"
            continue
        text = canonical(table)
        counts[text] = counts.get(text, 0) + 1
    networks = []
    for text, count in counts.items():
        try:
            networks.append(_network(text, count))
        except (ConfigError, MemoryError) as error:
            refused[text] = str(error)
    done, failed = found.count("done"), found.count("failed")
    return Forecast(path, len(cells), done, failed, tuple(networks), tuple(refused.items()))


def _network(text: str, count: int) -> Network:
    phi = built(text)
    if phi.path_rule.signal_dependent:
        return Network(text, count, None, None, None)
    plan = phi.plan()
    size = plan.feature_bytes + plan.working_bytes
    return Network(text, count, sum(plan.paths), plan.coefficients, size)
