r"""Convex cells that cover a Euclidean ball, and the points at which a function on it is looked at.

The sphere is replaced by a polyhedron with vertices on it: two points (d = 1), a regular polygon (d = 2), an octahedron
whose faces were divided (d = 3). If its faces keep the distance :math:`\varrho \le 1` from 0 (in radii), the polyhedron
enlarged by :math:`1/\varrho` contains the ball. A cell is a part of the cone over a face between two radii: every
point of it is a convex combination of the corners of the face at these radii, because it lies on a ray through
the face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor

#: Fewest corners of the polygon: it exceeds the disc by 0.12 %.
CORNERS = 64
#: Fewest parts of the edges of the octahedron.
EDGES = 6


@dataclass(frozen=True, eq=False)
class Mesh:
    """Vertices of the cells.

    Parameters
    ----------
    shifts : (n, d) tensor
        The vertices; the first `inside` of them lie in the closed ball.
    inside : int
    cell : float
        Radius of balls that contain the vertices of one cell each.
    """

    shifts: Tensor
    inside: int
    cell: float


def ball_mesh(d: int, radius: float, layers: int) -> Mesh:
    """The mesh of the ball of a radius with a number of radial layers, and about as fine along the sphere."""
    directions, faces, distance = _sphere(d, layers)
    # The last sphere inside is a little smaller, so that its points have at most this length after rounding.
    radii = [radius * (1 - 4e-16) * j / layers for j in range(1, layers + 1)]
    radii.append(radius / distance * (1 + 4e-16))
    shells = [r * directions for r in radii]
    shifts = torch.cat([torch.zeros((1, d), dtype=torch.float64), *shells])
    bounds = [0.0, *radii]
    cell = max(_cell(directions[faces], a, b) for a, b in pairwise(bounds))
    return Mesh(shifts, 1 + layers * len(directions), cell)


def _cell(corners: Tensor, low: float, high: float) -> float:
    """Largest distance of a vertex from the mean of its cell, for faces ``(n, d, d)`` between two radii."""
    vertices = torch.cat([low * corners, high * corners], 1)
    return float(torch.linalg.vector_norm(vertices - vertices.mean(1, keepdim=True), dim=-1).max()) * (1 + 1e-12)


@lru_cache(maxsize=32)
def _sphere(d: int, layers: int) -> tuple[Tensor, Tensor, float]:
    """Unit vectors ``(n, d)``, faces ``(m, d)`` as indices, and a lower value of the distance of the faces from 0."""
    if d == 1:
        return torch.tensor([[1.0], [-1.0]], dtype=torch.float64), torch.tensor([[0], [1]]), 1.0
    if d == 2:
        m = max(CORNERS, 6 * layers)
        angle = 2 * math.pi * torch.arange(m, dtype=torch.float64) / m
        faces = torch.stack([torch.arange(m), (torch.arange(m) + 1) % m], 1)
        return torch.stack([angle.cos(), angle.sin()], 1), faces, math.cos(math.pi / m)
    return _octahedron(max(EDGES, 2 * layers))


def _octahedron(k: int) -> tuple[Tensor, Tensor, float]:
    """The octahedron with its edges divided into k parts and all points moved to the sphere."""
    place: dict[tuple[int, ...], int] = {}
    faces: list[list[int]] = []
    for signs in ((a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)):

        def point(i: int, j: int, signs: tuple[int, int, int] = signs) -> int:
            key = (signs[0] * i, signs[1] * j, signs[2] * (k - i - j))
            return place.setdefault(key, len(place))

        for i in range(k):
            for j in range(k - i):
                faces.append([point(i, j), point(i + 1, j), point(i, j + 1)])
                if i + j < k - 1:
                    faces.append([point(i + 1, j), point(i, j + 1), point(i + 1, j + 1)])
    points = torch.tensor(list(place), dtype=torch.float64)
    points = points / torch.linalg.vector_norm(points, dim=1, keepdim=True)
    corners = points[torch.tensor(faces)]
    normal = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    heights = (normal * corners[:, 0]).sum(1).abs() / torch.linalg.vector_norm(normal, dim=1)
    return points, torch.tensor(faces), float(heights.min()) * (1 - 1e-14)
