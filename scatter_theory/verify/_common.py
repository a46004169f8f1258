"""What all verifiers share: signals in, hypotheses, witnesses and provenance out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scatter_theory.constants import TOLERANCE, Constant, Provenance
from scatter_theory.features import Features
from scatter_theory.network import FeatureExtractor
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis, Outcome, judge
from scatter_theory.search import Attack, Effort, noise, structured

#: Rounding of a measured relative quantity in float64; see ``constants.TOLERANCE``.
ROUNDING = TOLERANCE["float64"]

Progress = Callable[[int, int, str], None] | None


def in_double(phi: FeatureExtractor) -> FeatureExtractor:
    """The extractor in float64, rebuilt if it computes in lower precision."""
    if not isinstance(phi, FeatureExtractor):
        raise TypeError(f"`phi`: got {type(phi).__name__}, expected a FeatureExtractor.")
    return phi if phi.dtype == torch.float64 else phi.rebuilt(dtype=torch.float64)


def given(phi: FeatureExtractor, signals: Any) -> Tensor:
    """The user's signals as ``(n, *shape)`` float64 or complex128; empty for None. Zero signals are dropped."""
    shape = phi.grid.shape
    if signals is None:
        dtype = torch.complex128 if phi.complex_input else torch.float64
        return torch.zeros((0, *shape), dtype=dtype, device=phi.device)
    x = phi.prepare(signals).detach()
    x = x.reshape(-1, *shape)
    return x[x.flatten(1).abs().amax(1) > 0] if x.shape[0] else x


def candidates(phi: FeatureExtractor, signals: Tensor, effort: Effort, generator: torch.Generator) -> dict[str, Tensor]:
    """Pools of single signals by mode of search."""
    dtype = torch.complex128 if phi.complex_input else torch.float64
    pools = {"given": signals.to(dtype)}
    if effort.random:
        pools["random"] = noise(phi.grid, effort.random, generator, complex_input=phi.complex_input, device=phi.device)
    if effort.structured:
        pools["structured"] = structured(phi, effort.structured, generator)
    return {mode: _amplitudes(phi, x) if mode != "given" else x for mode, x in pools.items() if x.shape[0]}


def homogeneous(phi: FeatureExtractor) -> bool:
    """Whether ratios do not depend on the amplitude of the signal."""
    return all(layer.nonlinearity.homogeneous for layer in phi.layers)


def _amplitudes(phi: FeatureExtractor, x: Tensor) -> Tensor:
    """For non-homogeneous networks the same signals at small, unit and large amplitude in turn."""
    if homogeneous(phi):
        return x
    sizes = torch.tensor([1e-3, 1.0, 30.0], dtype=torch.float64, device=x.device)
    return torch.cat([x * s for s in sizes])


def path_hypothesis(phi: FeatureExtractor) -> Hypothesis:
    """The path set does not depend on the signal."""
    return Hypothesis("the path set is the same for all signals", not phi.path_rule.signal_dependent, repr(phi.path_rule))


def admissible(phi: FeatureExtractor) -> Hypothesis:
    """Refined admissibility of every layer and of the final output atom."""
    worst = max(c.value for c in phi.admissibility(refined=True))
    return Hypothesis("every layer is admissible: sup (|chi|^2 + L^2 R^2 sum |g|^2) <= 1", worst <= 1 + 1e-12, worst)


def vanishing(phi: FeatureExtractor) -> Hypothesis:
    """Non-linearities and poolings map 0 to 0."""
    worst = max(layer.nonlinearity.zero for layer in phi.layers)
    return Hypothesis("every non-linearity maps 0 to 0", worst == 0.0, worst)


def layer_constants(phi: FeatureExtractor) -> dict[str, Constant]:
    """``L_n R_n`` of every layer, by name."""
    return {f"L R, layer {n}": phi.layer_constant(n) for n in range(1, phi.depth + 1)}


def propagation_gain(phi: FeatureExtractor, n: int) -> float:
    r"""Factor w with :math:`W_n(f)^{1/2} \le w \|f\|`: 1 if admissible, else ``prod_k L_k R_k (sup G_k)^(1/2)``."""
    gain = 1.0
    for k in range(1, n + 1):
        G = float(phi.banks[k - 1].propagating_sum(real=phi.real[k - 1]).max())
        gain *= phi.layer_constant(k).value * G**0.5
    return gain


def safe_sqrt(energy: Tensor) -> Tensor:
    """Square root, differentiable with gradient 0 at 0."""
    positive = energy > 0
    return torch.where(positive, torch.where(positive, energy, torch.ones_like(energy)).sqrt(), torch.zeros_like(energy))


def layer_norms(features: Features) -> Tensor:
    """Norms by layer, ``(batch, N + 1)``, differentiable also where they vanish."""
    return safe_sqrt(features.energy("layer"))


def safe_ratio(measured: Tensor, bound: Tensor, size: Tensor) -> Tensor:
    """``measured / bound`` for the search, where bounds near the rounding of `size` do not count: ``m / (b + 1e-10 size)``."""
    return measured / (bound + 1e-10 * size).clamp_min(torch.finfo(torch.float64).tiny)


def finish(
    claim: str,
    phi: Any,
    *,
    x: Sequence[float],
    x_label: str,
    series: Sequence[str],
    measured: Any,
    bound: Any,
    constants: Mapping[str, Constant],
    hypotheses: Iterable[Hypothesis],
    budget: Iterable[ErrorTerm],
    started: float,
    seed: int | None,
    grid: Any = "",
    attack: Attack | None = None,
    witness: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    cap: Any = None,
) -> BoundCheck:
    """Assemble and judge a check."""
    check = BoundCheck(
        claim=claim,
        outcome=Outcome.INCONCLUSIVE,
        x=np.asarray(x, dtype=float),
        x_label=x_label,
        measured=np.asarray(measured, dtype=float),
        bound=np.asarray(bound, dtype=float),
        series=tuple(series),
        constants=dict(constants),
        hypotheses=tuple(hypotheses),
        budget=tuple(budget),
        provenance=Provenance.now(
            str(phi), seed=seed, grid=str(grid), device=str(getattr(phi, "device", "cpu")), seconds=time.perf_counter() - started
        ),
        search=_by_mode(attack, np.asarray(bound, dtype=float)) if attack else {},
        witness=dict(witness or {}),
        extra={k: np.asarray(v, dtype=float) for k, v in (extra or {}).items()},
        notes=tuple(notes),
    )
    return judge(check, cap=cap)


def _by_mode(attack: Attack, bound: np.ndarray) -> dict[str, float]:
    """Largest ratio of each mode over the cells whose bound is not 0 (an identity has no ratio)."""
    cells = np.nonzero(bound)[0] if len(bound) == len(attack.signals) else np.arange(len(attack.signals))
    return {mode: float(r[cells].max()) for mode, r in attack.by_mode.items()} if len(cells) else {}


def as_array(signal: Tensor) -> np.ndarray:
    """A witness signal for storage."""
    return signal.detach().cpu().numpy()
