"""The certificate of a layer: bounds, where they are attained, and how to check them again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from scatter_theory.certify.layers._all_grids import AllGrids, enclosure
from scatter_theory.certify.layers._dense import Dense
from scatter_theory.certify.layers._extremes import Extreme, attained, between
from scatter_theory.certify.layers._operator import operator
from scatter_theory.certify.layers._symbol import Symbol, least_degree
from scatter_theory.constants import Constant

TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class Witness:
    """Where a bound of the torus is attained.

    Parameters
    ----------
    value : float
        Squared singular value.
    q : tuple of int
        Coarse frequency, the DFT index per axis; empty for a matrix.
    group : int
        Group of channels.
    vector : tuple of complex
        Right singular vector of the symbol: (channel, phase) where the input lies on the finer grid, else (channel).
    """

    value: float
    q: tuple[int, ...]
    group: int
    vector: tuple[complex, ...]

    @classmethod
    def of(cls, extreme: Extreme) -> Witness:
        """From what was found."""
        vector = extreme.vector.to(torch.complex128).tolist()
        return cls(extreme.value, extreme.q, extreme.group, tuple(vector))

    def extreme(self) -> Extreme:
        """Back to a tensor."""
        return Extreme(self.value, self.q, self.group, torch.tensor(self.vector, dtype=torch.complex128))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return {**asdict(self), "q": list(self.q), "vector": [[z.real, z.imag] for z in self.vector]}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Witness:
        """What `to_dict` wrote down."""
        vector = tuple(complex(*pair) for pair in table["vector"])
        return cls(float(table["value"]), tuple(map(int, table["q"])), int(table["group"]), vector)


@dataclass(frozen=True)
class ConvBounds:
    r"""Frame bounds of a layer T without its bias, :math:`A \|u\|^2 \le \|T u\|^2 \le B \|u\|^2`.

    Parameters
    ----------
    layer : str
        The layer in words.
    grid_shape : tuple of int
        Grid of the input.
    padding : str or None
        As asked for.
    method : {"torus", "matrix"}
        Symbols on a torus, or the matrix of the layer.
    exact : bool
        Whether A and B are those of the layer; otherwise B is an upper bound, and A is None.
    reason : str
        How the operator whose singular values were taken relates to the layer.
    A : Constant or None
    B : Constant
        `error` is what rounding may change. Kind ``"grid"`` if exact, else ``"certified"``.
    at_A : Witness or None
    at_B : Witness
    torus, coarse : tuple of int
        Fine and coarse grid of the torus; empty for a matrix.
    degree : tuple of int
        Degree of the entries of T*T in the coarse frequency, per axis.
    factor : int
        B over the bound of the torus: copies of one sample in the padding.
    """

    layer: str
    grid_shape: tuple[int, ...]
    padding: str | None
    method: Literal["torus", "matrix"]
    exact: bool
    reason: str
    A: Constant | None
    B: Constant
    at_A: Witness | None
    at_B: Witness
    torus: tuple[int, ...]
    coarse: tuple[int, ...]
    degree: tuple[int, ...]
    factor: int

    @property
    def lipschitz(self) -> Constant:
        r""":math:`B^{1/2}`, rounded up: no pair of inputs is moved apart by more than this factor."""
        value = math.nextafter(math.sqrt(self.B.value + self.B.error), math.inf)
        return Constant(value, f"square root of B: {self.B.source}", self.B.kind)

    def all_grids(self) -> AllGrids:
        """Bounds for the torus of every size, from this one; B also for zero padding on every grid.

        Raises
        ------
        ValueError
            If the bounds came from a matrix, or at too few frequencies for the kernel.
        """
        if self.method == "matrix":
            raise ValueError(
                "`all_grids()`: these bounds came from the matrix of one grid. Use `conv_bounds(..., "
                "padding='circular')`, whose values belong to one polynomial for all grids."
            )
        lower = None if self.A is None else max(self.A.value - self.A.error, 0.0)
        return enclosure(lower, (self.B.value + self.B.error) / self.factor, self.degree, self.coarse)

    def signal(self, layer: nn.Module, which: Literal["A", "B"]) -> Tensor:
        """Input of norm 1 that attains a bound, ``(channels, *grid)``; real for real weights.

        If the bounds are not exact, it lives on the torus, and attains the bound of the circular operator.

        Raises
        ------
        ValueError
            For another bound, or one that is not known; or a layer to which these bounds do not belong.
        """
        witness = {"A": self.at_A, "B": self.at_B}.get(which)
        if witness is None:
            known = "'A' or 'B'" if self.at_A else "'B'"
            raise ValueError(f"`signal(which=...)`: got {which!r}, expected {known}, which these bounds have.")
        matrices = self._matrices(layer)
        if matrices is None:
            raise ValueError(f"`signal(layer=...)`: these bounds belong to {self.layer}, which the given layer is not.")
        extreme = witness.extreme()
        return matrices.signal(extreme.q, extreme.group, extreme.vector)

    def recheck(self, layer: nn.Module) -> bool:
        """Whether the bounds hold for this layer and are attained, by Cholesky factorisations and the stored vectors.

        False for another layer, other weights or a broken file.
        """
        matrices = self._matrices(layer)
        if matrices is None or not math.isclose(self.B.value, self.factor * self.at_B.value, rel_tol=1e-15):
            return False
        rounding = matrices.rounding(math.sqrt(max(self.at_B.value, 0.0)))
        slack = 2 * rounding + TINY
        if not self.B.error >= self.factor * rounding:
            return False
        witnesses = [self.at_B] + ([] if self.at_A is None else [self.at_A])
        for witness in witnesses:
            if not _fits(matrices, witness) or not abs(attained(matrices, witness.extreme()) - witness.value) <= slack:
                return False
        low = 0.0
        if self.exact:
            if self.A is None or self.at_A is None or self.A.value != self.at_A.value:
                return False
            low = max(self.A.value - slack, 0.0)
        return between(matrices, low, self.at_B.value + slack)

    def _matrices(self, layer: nn.Module) -> Symbol | Dense | None:
        """The operator, if these bounds speak about the layer as far as shapes say."""
        try:
            geometry, matrices, torus = operator(layer, self.grid_shape, self.padding, self.method == "matrix")
        except (TypeError, ValueError):
            return None
        mine = (self.layer, self.exact, self.torus, self.coarse, self.degree, self.factor)
        theirs = (geometry.name, torus.exact, torus.fine, torus.coarse, least_degree(geometry), torus.factor)
        return matrices if mine == theirs else None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings."""
        table: dict[str, Any] = {k: getattr(self, k) for k in ("layer", "padding", "method", "exact", "reason")}
        table |= {k: list(getattr(self, k)) for k in ("grid_shape", "torus", "coarse", "degree")}
        table |= {k: None if (v := getattr(self, k)) is None else v.to_dict() for k in ("A", "B", "at_A", "at_B")}
        return {**table, "factor": self.factor}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> ConvBounds:
        """The bounds that `to_dict` wrote down."""
        fields: dict[str, Any] = {k: table[k] for k in ("layer", "padding", "method", "exact", "reason", "factor")}
        fields |= {k: tuple(map(int, table[k])) for k in ("grid_shape", "torus", "coarse", "degree")}
        fields |= {k: None if table[k] is None else Constant(**table[k]) for k in ("A", "B")}
        fields |= {k: None if table[k] is None else Witness.from_dict(table[k]) for k in ("at_A", "at_B")}
        return cls(**fields)

    def __str__(self) -> str:
        lower = "unknown" if self.A is None else f"{self.A.value:.6g}"
        kind = "exact" if self.exact else "upper bound"
        return f"{self.layer} on {self.grid_shape}: A = {lower}, B = {self.B.value:.6g} ({kind}: {self.reason})"


def _fits(matrices: Symbol | Dense, witness: Witness) -> bool:
    """Whether a witness has the shape that the matrices ask for."""
    q = torch.zeros(1, len(witness.q), dtype=torch.int64)
    coarse = matrices.coarse if isinstance(matrices, Symbol) else ()
    if len(coarse) != len(witness.q) or any(not 0 <= k < m for k, m in zip(witness.q, coarse, strict=True)):
        return False
    found = matrices.at(q)
    return 0 <= witness.group < found.shape[1] and len(witness.vector) == found.shape[3] and any(witness.vector)
