r"""Learned frames: filters that a training loop moves, with frame bounds that it cannot move out of a stated range.

A frame is a value that never changes, weights change at every step. `Learned` keeps both: the value holds the module
with the weights *by reference*, and `Learned.on` computes the atoms from what the weights are at that moment, with
their gradients. Nothing derived from the weights is kept in the frame, so that nothing can be out of date. Any frame
may hold modules (`Frame.modules`, which also looks into frames made from frames); the extractor registers them, once
each, so that ``parameters()``, ``state_dict()``, ``to()`` and ``copy.deepcopy`` of the extractor see the weights. Two
layers with one `Learned` share their filters; give each layer its own for filters of its own.

The guarantee comes from the form of the map from weights to atoms, not from a projection after each step: there is
nothing to call during training, and every value of the weights that the map accepts is a frame in the range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch

from scatter_theory.constants import Constant
from scatter_theory.frames._bank import Atom, Bank, FrameBounds
from scatter_theory.frames._base import Frame, Sided, check_dimension, check_sided, resolve_sided
from scatter_theory.frames._learned_base import Guarantee, Parametrisation
from scatter_theory.frames._learned_fir import Paraunitary, WithComplement
from scatter_theory.frames._learned_morlet import LearnedMorlet
from scatter_theory.frames._learned_radial import RadialCuts
from scatter_theory.frames._learned_softmax import Softmax
from scatter_theory.frames._learned_spectral import Divided
from scatter_theory.grid import Grid, is_whole

Form = Literal["canonical", "range", "softmax", "complement", "paraunitary", "morlet", "radial"]
FORMS: tuple[str, ...] = ("canonical", "range", "softmax", "complement", "paraunitary", "morlet", "radial")


@dataclass(frozen=True, repr=False, eq=False)
class Learned(Frame):
    r"""A frame with learned filters whose bounds stay in ``[A, B]`` for all weights, by construction.

    ================  ====================================================  ====================================
    parametrisation   atoms                                                 what is kept
    ================  ====================================================  ====================================
    ``canonical``     real kernels, divided by the root of their sum        sum = B where the raw sum is positive
    ``range``         real kernels, their sum s mapped to                   ``A <= sum <= B``, there
                      ``A + (B - A) s / (1 + s)``
    ``softmax``       Gaussian bumps in frequency, powers by a softmax      sum = B everywhere
    ``complement``    real kernels of bounded size and one more atom        sum = B everywhere, taps kept
    ``paraunitary``   real taps, products of unitary factors                sum = B everywhere, taps kept
    ``morlet``        wavelets: centre, widths along and across it          sum = B everywhere, no mean
    ``radial``        isotropic bands: radii of the cuts, their roll-offs   sum = B everywhere, no mean
    ================  ====================================================  ====================================

    "Sum" is the Littlewood-Paley sum, "everywhere" all frequencies and hence every grid. "Taps kept" means that the
    atoms are the same finitely many taps on every grid (but for the complement); with the others, the bank of another
    grid has to be made by `on`, and is. "No mean" means that only the output atom sees frequency 0. Frequencies are in
    cycles per sample of the layer's grid, as for `Filters`. Learned atoms have no frequency of their own by which paths
    could be ordered: scale and centre of their labels are NaN.

    Parameters
    ----------
    n_filters : int
        Propagating filters beside the output atom; with ``"softmax"`` and ``"morlet"`` conjugate pairs (`sided`), with
        ``"complement"`` one atom more.
    support : int
        Taps per axis, at least 2; where atoms have no taps the extent of the finest (``"softmax"``, ``"morlet"``) or of
        the coarsest (``"radial"``) in samples before training.
    d : int
        Number of axes.
    parametrisation : str
        See the table.
    A, B : float
        Range for the frame bounds. All but ``"range"`` are tight and take the upper end, A = B.
    seed : int
        Seed of the weights before training.
    sided : str
        Atoms in conjugate pairs, ``"softmax"`` and ``"morlet"``: ``"auto"`` (half bank where the network allows it),
        ``"half"``, ``"both"`` or ``"real"`` (pairs merged into one real atom: half of the atoms, and maps that stay
        real). All other atoms are real, and ``"auto"`` becomes ``"real"``.

    Attributes
    ----------
    module : Parametrisation
        The weights, float64; ``frame.module.parameters()`` where no extractor holds the frame.

    Raises
    ------
    ValueError
        For parameters outside their range.

    Examples
    --------
    >>> import torch
    >>> from scatter_theory import Grid
    >>> frame = Learned(n_filters=4, support=3, d=1, parametrisation="range", A=0.5, B=1.0)
    >>> with torch.no_grad():
    ...     weights = frame.module.kernels.mul_(1000.0)
    >>> A, B = frame.on(Grid.line(64)).bounds()
    >>> 0.5 <= A <= B <= 1.0
    True
    """

    n_filters: int
    support: int
    d: int
    parametrisation: Form = "canonical"
    A: float = 0.5
    B: float = 1.0
    seed: int = 0
    sided: Sided = "auto"
    module: Parametrisation = field(init=False)

    def __post_init__(self) -> None:
        for name, least in (("n_filters", 1), ("support", 2), ("d", 1)):
            value = getattr(self, name)
            if not is_whole(value) or value < least:
                raise ValueError(f"`Learned({name}=...)`: got {value!r}, expected a whole number >= {least}.")
            object.__setattr__(self, name, int(value))
        check_dimension("Learned", self.d, Frame.dims)
        if self.parametrisation not in FORMS:
            raise ValueError(f"`Learned(parametrisation=...)`: got {self.parametrisation!r}, expected one of {FORMS}.")
        if not (0 < self.A <= self.B < math.inf):
            raise ValueError(f"`Learned(A=..., B=...)`: got {self.A!r} and {self.B!r}, expected 0 < A <= B < infinity.")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ValueError(f"`Learned(seed=...)`: got {self.seed!r}, expected a whole number.")
        check_sided("Learned", self.sided)
        object.__setattr__(self, "module", self._made(torch.Generator().manual_seed(self.seed)))
        if self.module.sided == "real":
            if self.sided not in ("auto", "real"):
                raise ValueError(
                    f"`Learned(sided=...)`: got {self.sided!r}, expected 'auto' or 'real': the atoms of "
                    f"parametrisation={self.parametrisation!r} are real and have no conjugate partners. Complex atoms "
                    "have 'softmax' and 'morlet'."
                )
            object.__setattr__(self, "sided", "real")

    def _made(self, generator: torch.Generator) -> Parametrisation:
        arguments = (self.n_filters, self.support, self.d, float(self.A), float(self.B))
        if self.parametrisation in ("canonical", "range"):
            return Divided(*arguments, self.parametrisation == "canonical", generator)
        if self.parametrisation == "radial":
            return RadialCuts(*arguments)
        forms = {"softmax": Softmax, "complement": WithComplement, "paraunitary": Paraunitary, "morlet": LearnedMorlet}
        return forms[self.parametrisation](*arguments, generator)

    @classmethod
    def example(cls, d: int) -> Learned:
        """Two filters with two taps per axis, frozen: they ask for no gradients; see `Frame.example`."""
        check_dimension("Learned.example", d, Frame.dims)
        frame = cls(n_filters=2, support=2, d=d)
        frame.module.requires_grad_(False)
        return frame

    @property
    def dims(self) -> tuple[int, ...]:
        """The number of axes of the filters."""
        return (self.d,)

    @property
    def tight(self) -> bool:
        """Whether A = B = 1 on every grid."""
        return self.module.tight and self.B == 1

    def __repr__(self) -> str:
        """Constructor call, without `sided` where the atoms leave no choice."""
        call = super().__repr__()
        return call.replace(", sided='real'", "") if self.module.sided == "real" else call

    @property
    def guarantee(self) -> Guarantee:
        """What holds for all weights, on the grid of a bank and on every grid."""
        return self.module.guarantee

    def on(self, grid: Grid, *, reference: Grid | None = None, sided: Sided | None = None, real: bool = False) -> Bank:
        """Atoms on `grid` with the present weights, carrying their gradients; see `Frame.on`.

        `reference` plays no part: the filters belong to the samples.

        Raises
        ------
        ValueError
            For another number of axes; on the CPU also if a weight is not finite, or if the weights define no atoms
            (``"canonical"`` and ``"range"``: kernels that all vanish at some frequency of the grid; ``"paraunitary"``:
            a zero vector; ``"morlet"``: a centre at 0). On other devices, where the check would wait for the device,
            the atoms are NaN there.
        """
        check_dimension("Learned", grid.ndim, self.dims)
        made = self.module(grid, resolve_sided(self.sided, sided))
        real_atoms, weight = made.kind == "real", math.sqrt(2.0) if made.kind == "half" else 1.0
        nowhere = (math.nan,) * self.d
        atoms = tuple(Atom(name, math.nan, nowhere, None, real_atoms, weight) for name in made.names)
        return Bank(grid, atoms, made.propagating, made.output, made.kind, repr(self))

    def bounds(self, d: int | None = None) -> FrameBounds:
        """The guarantee: bounds on every grid for all weights, not the exact ones of the present weights.

        ``frame.on(grid).bounds()`` gives those.
        """
        check_dimension("Learned.bounds", self.d if d is None else d, self.dims)
        holds, source = self.guarantee, f"by construction, parametrisation {self.parametrisation!r}"
        return FrameBounds(Constant(holds.A, source, "analytic"), Constant(holds.B, source, "analytic"))

    def decay_constant(self, d: int | None = None) -> Constant:
        r"""K over one period of the samples: certified for taps, else :math:`\sqrt{B d} / 2`, which needs no weights.

        The latter holds because :math:`|\hat\chi|^2 \le B` and no coordinate of a frequency exceeds half a cycle per
        sample.
        """
        from scatter_theory.frames._polynomial import filter_decay

        check_dimension("Learned.decay_constant", self.d if d is None else d, self.dims)
        taps = self.module.output_taps()
        if taps is not None:
            return filter_decay(taps.detach())
        source = "sqrt(B) times the largest frequency of the samples, sqrt(d) / 2"
        return Constant(math.sqrt(self.B * self.d) / 2, source, "analytic", "cycles/sample")
