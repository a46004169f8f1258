"""What the transforms of lines and planes have in common: a plan, an input check, and kymatio's forms of output."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scatter_theory.engine import Plan, Run, check_memory, collect, fitted, signals_with_gradient
from scatter_theory.grid import Grid
from scatter_theory.inputs import prepare
from scatter_theory.scattering._checks import COMPLEX, check_dtype, choice
from scatter_theory.scattering._orders import FilterOrder, littlewood_paley
from scatter_theory.scattering._padding import Padding
from scatter_theory.scattering._tree import Layout, tree_plan
from scatter_theory.scattering._wavelets import Path, Wavelet, paths_of, table

#: Forms of the output.
OUT_TYPES = ("array", "list", "dict")
#: Where kymatio's attributes went.
_MOVED = {
    **dict.fromkeys(("phi_f", "psi1_f", "psi2_f", "phi", "psi"), "filters()"),
    **dict.fromkeys(("N", "M"), "shape"),
    **dict.fromkeys(("J_pad", "_N_padded", "_M_padded"), "padded_shape"),
}

#: ``(*batch, paths, *out)`` tensor, ``{path: (*batch, *out)}``, or a list of one dict per path.
Coefficients = Tensor | dict[Path, Tensor] | list[dict[str, Any]]


class Transform(nn.Module, ABC):
    """A scattering transform of one signal shape.

    Everything but `out_type` is fixed at construction. The plan is made on first use, once per precision.

    Parameters
    ----------
    shape : tuple of int
        Shape of the signals that `forward` takes.
    wavelets : sequence of sequences of Wavelet
        Wavelets of orders 1..N.
    layout : Layout
    padding : Padding
    average : bool
        Whether the moduli are averaged; otherwise they are the output.
    fields : tuple of str
        Columns of `meta`.
    options : dict
        Remaining arguments and public attributes.
    """

    J: int
    shape: tuple[int, ...]
    max_order: int
    oversampling: int
    padding: str
    tight: bool
    complex_input: bool

    def __init__(
        self,
        shape: tuple[int, ...],
        wavelets: Sequence[Sequence[Wavelet]],
        layout: Layout,
        padding: Padding,
        /,
        *,
        average: bool,
        fields: tuple[str, ...],
        out_type: str,
        dtype: torch.dtype,
        memory: int | None,
        **options: Any,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        check_dtype(owner, dtype)
        self.memory = check_memory(owner, memory)
        self.average, self.padding_amounts, self.padded_shape = average, padding.amounts, layout.shape
        for name, value in options.items():
            setattr(self, name, value)
        self._grid, self._layout, self._pad = Grid.of(shape), layout, padding
        self._wavelets = tuple(map(tuple, wavelets))
        self._fields = (*fields, "sign") if self.complex_input else fields
        self._levels = paths_of([[w.j for w in ws] for ws in self._wavelets])
        self._plans: dict[torch.dtype, Plan] = {}
        # Follows the module to other devices and precisions; not part of its state.
        self.register_buffer("_marker", torch.zeros((), dtype=dtype), persistent=False)
        self.out_type = out_type
        self.plan()
        self._fixed = True

    @abstractmethod
    def _orders(self) -> Sequence[FilterOrder]:
        """Filters of orders 1..N on the padded grid."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "out_type":
            self._check_out_type(value)
        elif self.__dict__.get("_fixed") and not name.startswith("_") and name in self.__dict__ and name != "training":
            raise AttributeError(
                f"`{type(self).__name__}.{name}`: fixed at construction, as the plan depends on it. Build another one."
            )
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name in _MOVED:
            raise AttributeError(f"`{type(self).__name__}.{name}`: an attribute of kymatio. Use `{_MOVED[name]}`.")
        return super().__getattr__(name)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_plans": {}}

    def _check_out_type(self, out_type: Any) -> None:
        owner = type(self).__name__
        choice(owner, "out_type", out_type, OUT_TYPES)
        if out_type == "array" and not self.average:
            raise ValueError(
                f"`{owner}(out_type='array')`: without averaging the coefficients have different lengths. Use "
                "`out_type='list'` or `'dict'`."
            )

    # ------------------------------------------------------------------ description

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the computation."""
        return self._marker.dtype

    def plan(self) -> Plan:
        """The engine's plan for the present precision."""
        dtype = self.dtype
        if dtype not in COMPLEX:
            raise TypeError(
                f"`{type(self).__name__}`: in {dtype}, expected torch.float32 or torch.float64. Use `.float()` or "
                "`.double()`; with `complex_input=True` these take complex signals."
            )
        if dtype not in self._plans:
            plan = tree_plan(self._orders(), self._layout, dtype, real=not self.complex_input)
            self._plans[dtype] = plan
        return self._plans[dtype]

    def filters(self) -> tuple[FilterOrder, ...]:
        """Filters of orders 1..N on the padded grid, float64 arrays; made anew at each call."""
        return tuple(self._orders())

    def littlewood_paley(self) -> tuple[np.ndarray, ...]:
        """Littlewood-Paley sums of the frames of orders 1..N, ``padded_shape`` each; see `_orders` for the convention.

        For order 1 of a transform of complex signals that of complex maps, otherwise that of real ones.
        """
        return tuple(
            littlewood_paley(order, real=n > 0 or not self.complex_input) for n, order in enumerate(self._orders())
        )

    def meta(self) -> dict[str, np.ndarray | list[Path]]:
        """Table of the coefficients, in the order of the output; see `table`.

        With ``complex_input=True`` there is a column ``sign``, -1 for mirrored wavelets.
        """
        return table(self._levels, self._wavelets, self._fields)

    def output_size(self, detail: bool = False) -> int | list[int]:
        """Number of paths, of all orders together or, with `detail`, of each order."""
        sizes = [len(level) for level in self._levels]
        return sizes if detail else sum(sizes)

    # ------------------------------------------------------------------ computation

    def forward(self, x: Tensor) -> Coefficients:
        """The same as `scattering`."""
        return self.scattering(x)

    def scattering(self, x: Tensor) -> Coefficients:
        """Coefficients of signals.

        Parameters
        ----------
        x : (*batch, *shape) tensor
            In the precision of the transform and on its device; complex if it was built with ``complex_input=True``.

        Returns
        -------
        ``(*batch, paths, *out)`` tensor
            With ``out_type="array"``; complex if x is, the moduli with zero imaginary parts.
        dict
            With ``"dict"``: ``{(n1, n2): (*batch, *out) tensor}``, the key ``()`` for order 0.
        list of dict
            With ``"list"``: ``coef``, ``(*batch, *out)``, and the tuples ``j``, ``n`` and, for images, ``theta``.

        Raises
        ------
        TypeError
            For anything but a tensor, and for another precision.
        ValueError
            For a wrong shape or device, complex signals where real ones were announced, and NaN or infinite entries
            (looked for on the CPU only).
        MemoryError
            If the averages and what is needed to make them do not fit the budget, see `memory`.
        """
        plan, x = self.plan(), self._checked(x)
        d = self._grid.ndim
        batch = x.shape[: x.ndim - d]
        signals = x.reshape(math.prod(batch), *x.shape[x.ndim - d :])
        padded = self._pad(signals)
        if not len(signals):
            # Transforms of no signal at all are refused by some libraries: one of zeros is taken along and cut off.
            padded = torch.cat([padded, padded.new_zeros(1, *padded.shape[1:])])
        if self.average:
            values = [v[: len(signals)] for v in self._averages(plan, padded)]
            if self.out_type == "array":
                joined = torch.cat(values, 1)
                return joined.reshape(*batch, *joined.shape[1:])
            found = [one for v in values for one in v.unbind(1)]
        else:
            found = [signals, *(u[: len(signals)] for u in self._moduli(plan, padded))]
        return self._labelled([u.reshape(*batch, *u.shape[1:]) for u in found])

    def _checked(self, x: Tensor) -> Tensor:
        owner = type(self).__name__
        if not isinstance(x, Tensor):
            raise TypeError(f"`{owner}(x)`: got {type(x).__name__}, expected a torch tensor. Use `torch.as_tensor(x)`.")
        kind = COMPLEX[self.dtype]
        if x.dtype not in (self.dtype, kind) and not (x.is_complex() and not self.complex_input):
            wanted = f"{self.dtype} or {kind}" if self.complex_input else f"{self.dtype}"
            raise TypeError(
                f"`{owner}(x)`: got {x.dtype}, expected {wanted}. Convert x, or build the transform with "
                "`dtype=torch.float32` or `dtype=torch.float64` to match it."
            )
        x = prepare(x, self._grid, self.dtype, self._marker.device, complex_input=self.complex_input, name="x")
        return x.to(kind) if self.complex_input else x

    def _averages(self, plan: Plan, padded: Tensor) -> list[Tensor]:
        """Averaged maps of orders 0..N, within the budget."""
        owner, arguments = type(self).__name__, (len(padded), self._marker.device, self.memory)
        plan = fitted(owner, plan, *arguments)
        recorded = torch.is_grad_enabled() and padded.requires_grad
        kept = signals_with_gradient(owner, plan, *arguments) if recorded else None
        return collect(plan, padded, kept=kept)[0]

    def _moduli(self, plan: Plan, padded: Tensor) -> list[Tensor]:
        """Maps of orders 1..N without their padding, ``(batch, *kept)`` each."""
        plan = fitted(type(self).__name__, plan, len(padded), self._marker.device, self.memory, streamed=True)
        run = Run(plan, maps=True)
        parts: list[list[list[Tensor]]] = [[[] for _ in level] for level in self._levels[1:]]
        for chunk in run.batches(padded):
            for piece in run(padded[chunk]):
                if piece.group.layer:
                    level = (self.padded_shape[0] // piece.group.shape[0]).bit_length() - 1
                    maps = piece.maps[(..., *self._layout.kept[level])].clone(memory_format=torch.contiguous_format)
                    for row, u in zip(piece.rows, maps.unbind(1), strict=True):
                        parts[piece.group.layer - 1][row].append(u)
        return [torch.cat(chunks) for order in parts for chunks in order]

    def _labelled(self, values: list[Tensor]) -> Coefficients:
        paths = [q for level in self._levels for q in level]
        if self.out_type == "dict":
            return dict(zip(paths, values, strict=True))
        names = ("j", "theta") if "theta" in self._fields else ("j",)
        return [
            {"coef": u, **{k: tuple(getattr(self._wavelets[n][a], k) for n, a in enumerate(q)) for k in names}, "n": q}
            for q, u in zip(paths, values, strict=True)
        ]
