"""Labels of points that keep clear of each other, of the points and of lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_ROUNDS = 3
_DIRECTIONS = 16
_DISTANCES = (9.0, 14.0, 20.0, 28.0, 38.0, 50.0, 64.0, 80.0)

#: Room around points and between labels, and distance of the points by which lines are represented, in pixels.
_ROOM = 5.0
_SPACE = 2.0
_STEP = 3.0

#: Places on a leader where it is compared with points and lines.
_ALONG = np.linspace(0.1, 1.0, 10)[:, None]

#: Prices in units of a pixel of distance: per square pixel of another label, per pixel outside of the axes, per point
#: and per piece of a line that is covered, per leader that is crossed, and per piece of a line that the leader crosses.
_LABEL, _OUTSIDE, _POINT, _LINE, _LEADER, _THROUGH = 1.0, 30.0, 40.0, 8.0, 60.0, 2.0


def label_points(
    ax: Any,
    x: np.ndarray,
    y: np.ndarray,
    texts: Sequence[str],
    *,
    colours: Sequence[Any],
    lines: Sequence[Any],
    legend: Any,
) -> list[Any]:
    """Annotate points, each label where it disturbs least, with a thin leader; returns the annotations.

    Parameters
    ----------
    ax : matplotlib Axes
        Its scales and limits are final.
    x, y : (n,) arrays
        Data coordinates.
    texts, colours : sequences of length n
    lines : sequence of Line2D
        Not to be covered.
    legend : matplotlib Legend
        Not to be covered.
    """
    figure = ax.get_figure(root=True)
    points = np.column_stack([x, y])
    labels = [
        ax.annotate(text, point, fontsize=7, color=colour, ha="center", va="center", zorder=5)
        for text, point, colour in zip(texts, points, colours, strict=True)
    ]
    for label in labels:
        label.set_in_layout(False)
    figure.draw_without_rendering()
    plan = _Plan(
        points=ax.transData.transform(points),
        sizes=np.array([label.get_window_extent().size for label in labels]).reshape(-1, 2),
        pieces=np.concatenate([_pieces(line) for line in lines]),
        frame=ax.get_window_extent().extents,
        legend=legend.get_window_extent().extents,
    )
    offsets = (plan.centres() - plan.points) * 72 / figure.dpi
    arrow = {"arrowstyle": "-", "color": "#9A9A9A", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
    placed = []
    for label, offset, point in zip(labels, offsets, points, strict=True):
        placed.append(
            ax.annotate(
                label.get_text(), point, xytext=offset, textcoords="offset points", fontsize=7, zorder=5,
                color=label.get_color(), ha="center", va="center", arrowprops=arrow,
            )
        )  # fmt: skip
        placed[-1].set_in_layout(False)
        label.remove()
    return placed


def _pieces(line: Any) -> np.ndarray:
    """Points on a line in pixels, evenly spaced."""
    xy = line.get_transform().transform(np.column_stack(line.get_data()))
    if len(xy) == 0:
        return xy
    along = np.concatenate([[0.0], np.hypot(*np.diff(xy, axis=0).T).cumsum()])
    where = np.arange(0.0, along[-1] + _STEP, _STEP)
    return np.column_stack([np.interp(where, along, xy[:, k]) for k in (0, 1)])


@dataclass(frozen=True, eq=False)
class _Plan:
    """Everything in pixels: points, sizes of their labels, pieces of lines, boxes of the axes and the legend."""

    points: np.ndarray
    sizes: np.ndarray
    pieces: np.ndarray
    frame: np.ndarray
    legend: np.ndarray

    def centres(self) -> np.ndarray:
        """Places of the labels: the crowded points choose first, and all choose again when the others are placed."""
        centres = np.full_like(self.points, np.nan)
        apart = np.sort(((self.points[:, None] - self.points[None]) ** 2).sum(-1), axis=1)
        for _ in range(_ROUNDS):
            for i in np.argsort(apart[:, :4].sum(1)):
                centres[i] = np.nan
                options = self._options(i)
                reach = np.abs(options - self.points[i]).max(0) + self.sizes[i]
                pieces = self.pieces[_within(self.pieces, self.points[i] - reach, self.points[i] + reach)]
                prices = [self._price(i, option, centres, pieces) for option in options]
                centres[i] = options[int(np.argmin(prices))]
        return centres

    def _options(self, i: int) -> np.ndarray:
        """Centres of the label in all directions and at all distances of its box from the point."""
        angle = 2 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
        way = np.column_stack([np.cos(angle), np.sin(angle)])
        beside = self.sizes[i] / 2 * np.clip(1.5 * way, -1, 1)
        return np.concatenate([self.points[i] + beside + distance * way for distance in _DISTANCES])

    def _price(self, i: int, centre: np.ndarray, centres: np.ndarray, pieces: np.ndarray) -> float:
        point, half = self.points[i], self.sizes[i] / 2
        low, high = centre - half, centre + half
        there = ~np.isnan(centres[:, 0])
        spread = self.sizes[there] / 2 + _SPACE
        boxes = np.concatenate([np.hstack([centres[there] - spread, centres[there] + spread]), self.legend[None]])
        shared = np.maximum(np.minimum(high, boxes[:, 2:]) - np.maximum(low, boxes[:, :2]), 0).prod(1).sum()
        outside = (np.maximum(self.frame[:2] - low, 0) + np.maximum(high - self.frame[2:], 0)).sum()
        edge = np.minimum(np.maximum(point, low), high)
        leader = point + _ALONG * (edge - point)
        near = np.hypot(*np.maximum(np.maximum(low - point, point - high), 0))
        others = self.points[~_within(self.points, point - _ROOM, point + _ROOM)]  # those beside it are always touched
        touched = _within(others, low - _ROOM, high + _ROOM).sum()
        touched += _near(leader, others, _ROOM).sum()
        return float(
            near
            + _LABEL * shared
            + _OUTSIDE * outside
            + _POINT * touched
            + _LINE * _within(pieces, low - 1, high + 1).sum()
            + _LEADER * _crossings(point, centre, self.points[there], centres[there])
            + _THROUGH * _near(leader, pieces, 0.5 * _STEP).sum()
        )


def _near(points: np.ndarray, others: np.ndarray, distance: float) -> np.ndarray:
    """Which points have one of the others nearby."""
    x, y = (np.abs(points[:, k, None] - others[None, :, k]) < distance for k in (0, 1))
    return (x & y).any(1)


def _within(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Which points lie in a box."""
    return ((points > low) & (points < high)).all(1)


def _crossings(a: np.ndarray, b: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> int:
    """Number of segments from `starts` to `ends` that the one from a to b crosses."""

    def side(p: np.ndarray, q: np.ndarray, r: np.ndarray) -> np.ndarray:
        u, v = q - p, r - p
        return np.sign(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])

    across = side(a, b, starts) * side(a, b, ends) < 0
    return int((across & (side(starts, ends, a) * side(starts, ends, b) < 0)).sum())
