"""Running a plan: depth first over chunks of maps, never more than a few chunks at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from scatter_theory.engine._buffers import Room
from scatter_theory.engine._operators import COMPLEX, Filters, modulus, plain, real_dtype, transformed
from scatter_theory.engine._plan import Edge, Group, Plan
from scatter_theory.engine._spectra import spectra_into

#: Numbers of spectra whose dropped energy is booked at a time on a CPU.
BLOCK = 2**16


@dataclass(frozen=True, eq=False)
class Piece:
    """Features of some paths of one layer, for one chunk of the batch.

    Parameters
    ----------
    group : Group
    low : int
        Position of the first map in the group.
    maps : (batch, n, *shape) tensor or None
        The propagated maps, where they were asked for.
    values : (batch, n, *output grid) tensor or None
        The features; None if the group emits none.
    energy : (batch,) float64 tensor or None
        Energy of the maps.
    dropped : (batch,) float64 tensor or None
        Energy of the children that the path rule dropped.
    """

    group: Group
    low: int
    maps: Tensor | None
    values: Tensor | None
    energy: Tensor | None
    dropped: Tensor | None

    @property
    def rows(self) -> np.ndarray:
        """Positions among the features of the layer."""
        count = (self.values if self.values is not None else self.maps).shape[1]
        return self.group.rows[self.low : self.low + count]


class Run:
    """One pass over a chunk of the batch.

    Parameters
    ----------
    plan : Plan
    book : bool
        Whether energies are booked.
    maps : bool
        Whether the propagated maps are handed out.
    """

    def __init__(self, plan: Plan, *, book: bool = False, maps: bool = False) -> None:
        self.plan, self.book, self.maps = plan, book, maps
        self._room: Room | None = None

    def batches(self, x: Tensor) -> Iterator[slice]:
        """Slices of a batch for which the maps of a chunk stay near the size aimed at."""
        step = self.plan.batch_chunk(len(x), x.device.type)
        return (slice(start, start + step) for start in range(0, len(x), step))

    def __call__(self, x: Tensor) -> Iterator[Piece]:
        """All pieces for signals ``(batch, *shape)``."""
        root = self.plan.root
        self._room = self._room or Room(self.plan.chunk_size(len(x), x.device.type))
        u = x.unsqueeze(1)
        energy = _squares(u).sum(1) * root.cell_volume if self.book else None
        yield from self._expand(root, 0, u, None, energy)

    def _needs_spectrum(self, group: Group) -> bool:
        return bool(group.edges) or (self.book and (group.dropped is not None or group.multiplier is not None))

    def _expand(
        self,
        group: Group,
        low: int,
        u: Tensor | None,
        values: Tensor | None,
        energy: Tensor | None,
        spectrum: Tensor | None = None,
    ) -> Iterator[Piece]:
        """Hand out the features of maps ``low, low + 1, ...`` of a group, then go on to their children."""
        dropped = None
        if spectrum is None and self._needs_spectrum(group):
            spectrum = self._transformed(group, u)
        if spectrum is not None and group.multiplier is not None:
            spectrum = spectrum * group.on_device("multiplier", group.multiplier, spectrum.device, spectrum.dtype)
        if values is None and group.emit is not None:
            values = group.emit(u, spectrum if group.multiplier is None else None)
        if self.book and energy is None:
            whole = _squares(u) if group.multiplier is None else _squares(spectrum) / group.size
            energy = whole.sum(1) * group.cell_volume
        if self.book and group.dropped is not None:
            dropped = self._dropped(group, spectrum, low)
        yield Piece(group, low, u if self.maps else None, values, energy, dropped)
        del values, u
        for edge in group.edges:
            begin, end = np.searchsorted(edge.parents, [low, low + spectrum.shape[1]])
            if begin < end:
                yield from self._children(edge, spectrum, int(begin), int(end), low)

    def _transformed(self, group: Group, u: Tensor) -> Tensor:
        axes, dtype = tuple(range(-len(group.shape), 0)), COMPLEX[real_dtype(u)]
        if not plain(u) or (torch.is_grad_enabled() and u.requires_grad):
            return torch.fft.fftn(u, dim=axes)
        return spectra_into(u.detach(), self._room(group.layer, u.shape, dtype), len(group.shape))

    def _children(self, edge: Edge, spectrum: Tensor, begin: int, end: int, low: int) -> Iterator[Piece]:
        for first, last, a, b in self._chunks(edge, spectrum, begin, end):
            # Nothing here keeps a reference, so that maps are freed as soon as their children are made.
            made = self._made(edge, spectrum, (first, last, low), a, b)
            yield from self._expand(edge.target, edge.start + first * len(edge) + a, *made.pop())

    def _made(
        self, edge: Edge, spectrum: Tensor, parents: tuple[int, int, int], a: int, b: int
    ) -> list[tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]]:
        """Maps, features, energy and spectra of the maps of some parents and atoms, as the only entry of a list."""
        target = edge.target
        filters, fused = edge.part(a, b)
        if self._fusible(edge, spectrum):
            spectra = self._needs_spectrum(target)
            # Features that no kernel makes come from the spectra, where there are spectra of the very maps.
            maps = self.maps or (edge.separate and not (spectra and target.multiplier is None))
            wanted = {"maps": maps, "spectra": spectra}
            places = edge.parents[parents[0] : parents[1]] - parents[2]
            shape = (len(spectrum), len(places), b - a, *target.shape)
            if torch.is_grad_enabled() and spectrum.requires_grad:
                x, inputs = _selected(edge, spectrum, *parents), {}
            else:
                room = self._room(target.layer, shape, spectrum.dtype) if wanted["spectra"] else None
                x, inputs = spectrum, {"chosen": places, "room": room}
            *maps, squares = fused(x, **wanted, sums=self.book and target.multiplier is None, **inputs)
            u, U, values = (m.flatten(1, 2) if m is not None else None for m in maps)
            energy = squares.double().sum((1, 2)) * target.cell_volume if squares is not None else None
            return [(u, values, energy, U)]
        x = _selected(edge, spectrum, *parents)
        keep = self.maps or self._needs_spectrum(target) or self.book
        if self._recomputes(x) and not keep and target.emit is not None:
            return [(None, checkpoint(_leaf, edge, filters, x, use_reentrant=False), None, None)]
        return [(_maps(edge, filters, x), None, None, None)]

    def _recomputes(self, x: Tensor) -> bool:
        """Whether maps without children are made anew for the gradient instead of being kept."""
        return torch.is_grad_enabled() and x.requires_grad and not transformed(x)

    def _fusible(self, edge: Edge, x: Tensor) -> bool:
        return plain(x) and edge.fusible(x.shape[0] * x.shape[1], self.plan.precision)

    def _chunks(self, edge: Edge, spectrum: Tensor, begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """(first parent, last parent, first atom, last atom), each with maps of about the size aimed at."""
        fused, device = self._fusible(edge, spectrum), spectrum.device.type
        atoms, parents = self.plan.chunk(edge, spectrum.shape[0], fused=fused, maps=self.maps, device=device)
        for first in range(begin, end, parents):
            for a in range(0, len(edge), atoms):
                yield first, min(first + parents, end), a, min(a + atoms, len(edge))

    def _dropped(self, group: Group, spectrum: Tensor, low: int) -> Tensor:
        kinds, table = group.dropped
        weights = group.on_device("table", table, spectrum.device)
        index = group.on_device("kinds", kinds, spectrum.device)[low : low + spectrum.shape[1]]
        flat = spectrum.flatten(2)
        # A few signals at a time: squares and products in double precision need several times the memory of the maps.
        step = max(len(flat), 1)
        if flat.device.type == "cpu":
            step = max(BLOCK * step // max(flat.numel(), 1), 1)
        rows = weights.index_select(0, index)
        parts = [(torch.view_as_real(x).square().sum(-1).double() * rows).sum((1, 2)) for x in flat.split(step)]
        return torch.cat(parts) * (group.cell_volume / group.size)


def _squares(u: Tensor) -> Tensor:
    """Sum of squares of every map, float64: ``(batch, n)``."""
    parts = torch.view_as_real(u) if u.is_complex() else u
    return parts.flatten(2).square().sum(-1).double()


def _selected(edge: Edge, spectrum: Tensor, first: int, last: int, low: int) -> Tensor:
    """Spectra of the parents ``first, ..., last - 1`` of an edge among those of the maps ``low, low + 1, ...``."""
    places = edge.parents[first:last] - low
    if len(places) == spectrum.shape[1]:
        return spectrum
    if places[-1] - places[0] + 1 == len(places):
        return spectrum[:, int(places[0]) : int(places[-1]) + 1]
    index = edge.on_device("parents", edge.parents, spectrum.device)
    return spectrum.index_select(1, index[first:last] - low)


def _maps(edge: Edge, filters: Filters, x: Tensor) -> Tensor:
    """Maps of one edge by torch operations: ``(batch, n_parents * n_atoms, *shape)``."""
    axes = tuple(range(-len(edge.packed.target), 0))
    spectrum = filters(x)
    if edge.packed.half:
        v = torch.fft.irfftn(spectrum, s=edge.packed.target, dim=axes, norm="forward")
    else:
        v = torch.fft.ifftn(spectrum, dim=axes, norm="forward")
        v = v.real if edge.real else v
    u = modulus(v) if edge.is_modulus else edge.nonlinearity(v)
    u = edge.pooling(u) if edge.pooling is not None else u
    return u.flatten(1, 2)


def _leaf(edge: Edge, filters: Filters, x: Tensor) -> Tensor:
    return edge.target.emit(_maps(edge, filters, x))


def collect(
    plan: Plan, x: Tensor, *, book: bool = False, kept: int | None = None
) -> tuple[list[Tensor], list[Tensor], Tensor | None]:
    """Features of all layers.

    Parameters
    ----------
    x : (batch, *shape) tensor
    book : bool
        Whether energies are wanted.
    kept : int, optional
        Where a gradient is wanted, keep the intermediate results of no more than so many signals at a time: they are
        made anew in the backward pass. Default: keep all.

    Returns
    -------
    values : list of (batch, n_paths, *output grid) tensors
    remainder : list of (batch,) float64 tensors
        Energy of the maps of every layer; empty unless booked.
    dropped : (batch,) float64 tensor or None
    """
    if not ((torch.is_grad_enabled() and x.requires_grad) or transformed(x)):
        return _written(plan, x, book)
    slices = Run(plan).batches(x) if kept is None else (slice(i, i + kept) for i in range(0, len(x), kept))
    parts = [
        _recorded(plan, x[part], book)
        if kept is None
        else checkpoint(_recorded, plan, x[part], book, use_reentrant=False)
        for part in slices
    ]
    if not parts:
        parts = [_recorded(plan, x, book)]
    values, remainder, dropped = zip(*parts, strict=True)
    values, remainder = ([torch.cat(v) for v in zip(*part, strict=True)] for part in (values, remainder))
    return values, remainder, torch.cat(dropped) if book else None


class _Books:
    """Energies of the maps of every layer, and of the children that were dropped, summed over pieces."""

    def __init__(self, plan: Plan, x: Tensor) -> None:
        self.lost = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        self.energies = [self.lost] * len(plan.layers)

    def add(self, piece: Piece) -> None:
        n = piece.group.layer
        self.energies[n] = self.energies[n] + piece.energy
        self.lost = self.lost + piece.dropped if piece.dropped is not None else self.lost


def _written(plan: Plan, x: Tensor, book: bool) -> tuple[list[Tensor], list[Tensor], Tensor | None]:
    """Every piece is written to its place in the result at once."""
    run, values, books = Run(plan, book=book), [_empty(plan, n, x) for n in range(len(plan.layers))], []
    for part in run.batches(x):
        books.append(_Books(plan, x[part]))
        for piece in run(x[part]):
            _write(values[piece.group.layer][part], piece)
            if book:
                books[-1].add(piece)
    if not book:
        return values, [], None
    books = books or [_Books(plan, x)]
    remainder = [torch.cat([b.energies[n] for b in books]) for n in range(len(plan.layers))]
    return values, remainder, torch.cat([b.lost for b in books])


def _recorded(plan: Plan, x: Tensor, book: bool) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """The same without writing in place, for gradients and transformations of torch."""
    pieces: list[list[tuple[np.ndarray, Tensor]]] = [[] for _ in plan.layers]
    books = _Books(plan, x)
    for piece in Run(plan, book=book)(x) if len(x) else ():
        pieces[piece.group.layer].append((piece.rows, piece.values))
        if book:
            books.add(piece)
    values = [_assembled(p, plan, n, x) for n, p in enumerate(pieces)]
    return values, books.energies if book else [], books.lost


def _empty(plan: Plan, n: int, x: Tensor) -> Tensor:
    layout = plan.layers[n]
    dtype = real_dtype(x) if layout.real else COMPLEX[real_dtype(x)]
    return torch.empty((x.shape[0], layout.paths, *layout.shape), dtype=dtype, device=x.device)


def _write(out: Tensor, piece: Piece) -> None:
    rows = piece.rows
    if out.device.type == "cpu" and bool((np.diff(rows) == 1).all()):
        out[:, int(rows[0]) : int(rows[-1]) + 1] = piece.values
    else:
        index = piece.group.on_device("rows", piece.group.rows, out.device)
        out.index_copy_(1, index[piece.low : piece.low + len(rows)], piece.values.to(out.dtype))


def _assembled(pieces: list[tuple[np.ndarray, Tensor]], plan: Plan, n: int, x: Tensor) -> Tensor:
    if not pieces:
        return _empty(plan, n, x) + x.real.sum()
    rows = np.concatenate([rows for rows, _ in pieces])
    values = torch.cat([v for _, v in pieces], 1)
    if bool((np.diff(rows) == 1).all()):
        return values
    return values.index_select(1, torch.from_numpy(np.argsort(rows)).to(values.device))
