"""What all verifiers share: signals in, hypotheses, witnesses and provenance out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scatter_theory import theory
from scatter_theory.certify import vanishing_layer
from scatter_theory.constants import IDENTITY, TOLERANCE, Constant, Provenance
from scatter_theory.network import FeatureExtractor
from scatter_theory.paths import StructuralRule
from scatter_theory.poolings import Pool
from scatter_theory.results import BoundCheck, ErrorTerm, Hypothesis, Outcome, judge
from scatter_theory.search import Attack, Effort, noise, structured

#: Rounding of a measured relative quantity in float64; see ``constants.TOLERANCE``.
ROUNDING = TOLERANCE["float64"]

#: Amplitudes whose squares are float64 numbers with room for sums.
AMPLITUDES = (1e-140, 1e140)

#: Bytes of features held at once while candidates are evaluated.
CHUNK_BYTES = 128 * 2**20

#: Said by every verifier that was given no signal and no effort.
NO_DATA = "No data: no signal was given and the effort allows no search."

TINY = torch.finfo(torch.float64).tiny
EPS = torch.finfo(torch.float64).eps

Progress = Callable[[int, int, str], None] | None


def in_double(phi: FeatureExtractor) -> FeatureExtractor:
    """The extractor on the exact engine in float64, rebuilt if it runs on the fast one or in lower precision."""
    if not isinstance(phi, FeatureExtractor):
        raise TypeError(
            f"`phi`: got {type(phi).__name__}, expected a FeatureExtractor. Transforms of "
            "kymatio become one by `adapters.kymatio.extractor(obj)`."
        )
    exact = phi.engine == "exact" and phi.dtype == torch.float64
    return phi if exact else phi.rebuilt(engine="exact", dtype=torch.float64)


def given(phi: FeatureExtractor, signals: Any) -> Tensor:
    """The user's signals as ``(n, *shape)`` float64 or complex128; empty for None. Zero signals are dropped.

    Raises
    ------
    ValueError
        As `FeatureExtractor.forward`, and for amplitudes whose squares are not float64 numbers.
    """
    shape = phi.grid.shape
    dtype = torch.complex128 if phi.complex_input else torch.float64
    if signals is None:
        return torch.zeros((0, *shape), dtype=dtype, device=phi.device)
    x = phi.prepare(signals).detach().reshape(-1, *shape).to(dtype)
    peaks = x.flatten(1).abs().amax(1) if x.shape[0] else x.new_zeros(0, dtype=torch.float64)
    if not bool(torch.isfinite(peaks).all()):
        raise ValueError("`signals`: NaN or infinite entries; all entries must be finite.")
    x, peaks = x[peaks > 0], peaks[peaks > 0]
    if bool(((peaks < AMPLITUDES[0]) | (peaks > AMPLITUDES[1])).any()):
        raise ValueError(
            f"`signals`: amplitudes from {float(peaks.min()):.3g} to {float(peaks.max()):.3g}, expected them within "
            f"{AMPLITUDES[0]:g} and {AMPLITUDES[1]:g}, where energies can be computed in float64. Change the unit."
        )
    return x


def checked_effort(effort: Any) -> Effort:
    """The effort itself.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    if not isinstance(effort, Effort):
        raise TypeError(
            f"`effort`: got {effort!r}, expected an Effort; `verify.Effort(random=8, structured=16, steps=6)` is a "
            "short search."
        )
    return effort


def checked_shifts(owner: str, shifts: Any) -> Any:
    """The shifts themselves, given to the verifier `owner`.

    Raises
    ------
    TypeError
        If they are one number, or text.
    """
    if isinstance(shifts, (int, float, str)) or getattr(shifts, "ndim", 1) == 0:
        raise TypeError(f"`{owner}(shifts=...)`: got {shifts!r}, expected a list of shifts in samples, e.g. [1, 4].")
    return shifts


def candidates(phi: FeatureExtractor, signals: Tensor, effort: Effort, generator: torch.Generator) -> dict[str, Tensor]:
    """Pools of single signals by mode of search; empty modes are left out."""
    checked_effort(effort)
    pools = {"given": signals}
    if effort.random:
        pools["random"] = noise(phi.grid, effort.random, generator, complex_input=phi.complex_input, device=phi.device)
    if effort.structured:
        pools["structured"] = structured(phi, effort.structured, generator)
    return {mode: _amplitudes(phi, x) if mode != "given" else x for mode, x in pools.items() if x.shape[0]}


def homogeneous(phi: FeatureExtractor) -> bool:
    """Whether ratios do not depend on the amplitude of the signal; a user's own pooling is not trusted to be so."""
    return all(layer.nonlinearity.homogeneous and not isinstance(layer.pooling, Pool) for layer in phi.layers)


def _amplitudes(phi: FeatureExtractor, x: Tensor) -> Tensor:
    """For non-homogeneous networks the same signals at small, unit and large amplitude in turn."""
    if homogeneous(phi):
        return x
    return torch.cat([x * size for size in (1e-3, 1.0, 30.0)])


def chunk_size(phi: FeatureExtractor, largest: int = 64) -> int:
    """Candidates to evaluate at once so that their features stay below `CHUNK_BYTES`."""
    if not isinstance(phi.path_rule, StructuralRule):
        return min(largest, 8)
    return max(1, min(largest, CHUNK_BYTES // max(phi.plan().feature_bytes, 1)))


def path_hypothesis(phi: FeatureExtractor) -> Hypothesis:
    """The path set does not depend on the signal."""
    rule = phi.path_rule
    return Hypothesis("the path set is the same for all signals", not rule.signal_dependent, repr(rule))


def admissible(phi: FeatureExtractor) -> Hypothesis:
    """Refined admissibility of every layer and of the final output atom."""
    worst = max(c.value for c in phi.admissibility(refined=True))
    text = "every layer is admissible: sup (|chi|^2 + L^2 R^2 sum |g|^2) <= 1"
    return Hypothesis(text, worst <= 1 + IDENTITY, worst)


def vanishing(phi: FeatureExtractor) -> Hypothesis:
    """Non-linearities and poolings map 0 to 0."""
    layers = [vanishing_layer(phi, n) for n in range(1, phi.depth + 1)]
    text = "every non-linearity and every pooling maps 0 to 0"
    return Hypothesis(text, all(h.satisfied for h in layers), float(np.max([h.value for h in layers])))


def layer_constants(phi: FeatureExtractor) -> dict[str, Constant]:
    """``L_n R_n`` of every layer, by name."""
    return {f"L R, layer {n}": phi.layer_constant(n) for n in range(1, phi.depth + 1)}


def propagating_peak(phi: FeatureExtractor, n: int) -> float:
    r""":math:`\sup_\xi G_n` of layer n = 1..N, of the even part if the maps are real."""
    return float(phi.banks[n - 1].propagating_sum(real=phi.real[n - 1]).max())


def propagated_gain(phi: FeatureExtractor, n: int) -> Constant:
    r""":math:`L_n^2 R_n^2 \sup G_n` of layer n = 1..N: the largest share of its energy that a layer passes on."""
    LR = phi.layer_constant(n)
    gain = theory.remainder_bound(1.0, propagating_peak(phi, n), LR.value)
    return Constant(gain, "L^2 R^2 sup G", "grid" if LR.proves else LR.kind)


def local_constant(phi: FeatureExtractor, n: int) -> Constant:
    r""":math:`\sup |\hat\chi_n| \prod_{k \le n} L_k R_k (\sup G_k)^{1/2}`."""
    chi = float(phi.banks[n].output_power(real=phi.real[n]).max()) ** 0.5
    LR = [phi.layer_constant(k) for k in range(1, n + 1)]
    layers = [(c.value, 1.0, propagating_peak(phi, k)) for k, c in enumerate(LR, 1)]
    kind = "grid" if all(c.proves for c in LR) else "declared"
    return Constant(theory.local_lipschitz(chi, layers), "sup |chi_n| prod L R (sup G)^(1/2)", kind)


def safe_ratio(measured: Tensor, bound: Tensor, size: Tensor) -> Tensor:
    """``measured / (bound + 1e-10 size)`` for the search: bounds near the rounding of `size` do not count."""
    return measured / (bound + 1e-10 * size).clamp_min(TINY)


def constant_row(values: Sequence[float], like: Tensor) -> Tensor:
    """Numbers of the host as a float64 row on the device of `like`."""
    return torch.tensor(list(values), dtype=torch.float64, device=like.device)


def finish(
    claim: str,
    phi: Any,
    *,
    x: Sequence[float] = (),
    x_label: str,
    series: Sequence[str] = (),
    measured: Any = (),
    bound: Any = (),
    constants: Mapping[str, Constant],
    hypotheses: Iterable[Hypothesis],
    budget: Iterable[ErrorTerm] = (),
    started: float,
    seed: int | None,
    grid: Any = "",
    attack: Attack | None = None,
    witness: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    certificates: Sequence[Any] = (),
    cap: Any = None,
) -> BoundCheck:
    """Assemble and judge a check; without points it is INCONCLUSIVE, or INAPPLICABLE if a hypothesis fails."""
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
            str(phi),
            seed=seed,
            grid=str(grid),
            device=str(getattr(phi, "device", "cpu")),
            seconds=time.perf_counter() - started,
        ),
        search=_by_mode(attack, np.asarray(bound, dtype=float)) if attack else {},
        witness=dict(witness or {}),
        extra={k: np.asarray(v, dtype=float) for k, v in (extra or {}).items()},
        notes=tuple(notes),
        certificates=tuple(certificates),
    )
    return judge(check, cap=cap)


def _by_mode(attack: Attack, bound: np.ndarray) -> dict[str, float]:
    """Largest ratio of each mode over the cells whose bound is not 0 (an identity has no ratio)."""
    cells = np.nonzero(bound)[0] if len(bound) == len(attack.modes) else np.arange(len(attack.modes))
    return {mode: float(r[cells].max()) for mode, r in attack.by_mode.items()} if len(cells) else {}


def worst_cell(measured: Any, bound: Any, attack: Attack) -> int:
    """The cell with the largest measured ratio, or, where all bounds vanish, the largest of the search."""
    measured, bound = np.asarray(measured, dtype=float), np.asarray(bound, dtype=float)
    if not np.any(bound > 0):
        return int(attack.best.argmax())
    ratio = np.divide(measured, bound, out=np.full_like(bound, -1.0), where=bound > 0)
    return int(np.argmax(np.nan_to_num(ratio, nan=np.inf)))


def as_array(signal: Tensor) -> np.ndarray:
    """A witness signal for storage."""
    return signal.detach().cpu().numpy()
