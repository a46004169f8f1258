r"""When one shift decides what positivity is worth: :math:`c = 1/\sqrt2`, proven for a low-pass profile on the line.

Let :math:`M = |m|^2 \ge 0` be even and continuous with compact support, where m is the multiplier of a translation by
s, :math:`2\sin(\pi s w)\,\hat\chi(w)`, or its majorant :math:`|w|\,|\hat\chi(w)|` (for all small s at once). Let
:math:`w_0` be a maximiser and :math:`x_0 = 1/(2w_0)`, the shift that turns it upside down.

**Criterion.** If :math:`M(w) \le \sup M \sin^2(\pi w x_0)` for all w, then every u with
:math:`\mathrm{Re}\langle u, T_xu\rangle \ge 0` has :math:`\|m*u\|^2 \le \tfrac12\sup M\,\|u\|^2`.

*Proof.* :math:`\sup M\sin^2(\pi wx_0) = \tfrac12\sup M\,(1 - \cos 2\pi wx_0)`; integrate against :math:`|\hat u|^2` and
drop :math:`\mathrm{Re}\langle u,T_{x_0}u\rangle \ge 0`. ∎ The half-wave :math:`\max(0, \cos 2\pi w_0x)` has half of its
energy at :math:`\pm w_0`, so that no smaller factor than :math:`1/\sqrt2` is true. No other shift can serve: equality
is needed at :math:`w_0`, and an odd multiple :math:`(2k+1)x_0` fails at :math:`2w_0/(2k+1)`, where the square of the
sine vanishes and M does not, because :math:`w_0 \le 1/(2s)` for a low-pass that falls.

For all real w this is proven by a finite sweep (`scatter_theory.certify.positivity._sweep`), or in closed form: if
:math:`\hat\chi` is 1 up to :math:`1/(2s)`, the shift s itself gives equality; for a box that ends at
:math:`e < 1/(2s)`, :math:`\sin(\alpha y) \le \sin\alpha\,\sin(\tfrac\pi2y)` on [0, 1] for
:math:`\alpha = \pi se \le \pi/2`, because :math:`\sin(\alpha y)/\sin\alpha` rises with :math:`\alpha` and reaches
:math:`\sin(\tfrac\pi2 y)` at :math:`\pi/2` (majorant: :math:`y \le \sin\tfrac\pi2y`).

**Several dimensions.** For a radial low-pass that falls and a shift s in any direction,
:math:`|\hat\chi(w)| \le |\hat\chi(r)|` with :math:`r = \langle w, s\rangle/|s|`, so that the criterion for the profile
on the line gives the one on :math:`\mathbb R^d`. The majorant :math:`|w|\,|\hat\chi(w)|` is no function of r times
:math:`|\hat\chi|`: frequencies orthogonal to :math:`x_0` have :math:`M > 0 = \sin^2`, and nothing is claimed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from scatter_theory.certify.positivity._roll_off import Falling, RollOff
from scatter_theory.certify.positivity._sweep import PIECES, fails, is_proven, maximum, sweep
from scatter_theory.frames import Curvelets, DirectionalWavelets, Frame, Ridgelets, Riesz, Steerable, Wavelets
from scatter_theory.frames._steps import dyadic_cuts, q_cuts

Verdict = Literal["proven", "refuted", "undecided", "inapplicable"]

#: Frames with a radial low-pass that falls.
RADIAL = (Wavelets, DirectionalWavelets, Curvelets, Ridgelets, Steerable, Riesz)


@dataclass(frozen=True)
class OneShiftProof:
    r"""Whether one shift proves :math:`c = 1/\sqrt2` for a profile, and what the proof consists of.

    Parameters
    ----------
    profile : RollOff or Falling
    samples : float or None
        Length of the shift s, in the unit inverse to the profile's frequencies; None for the majorant.
    verdict : {"proven", "refuted", "undecided", "inapplicable"}
        ``"refuted"``: the inequality fails at `counterexample`, so that the factor needs more shifts (and may be
        larger); ``"undecided"``: values alone do not decide, or the cells ran out.
    reason : str
    maximiser : tuple of float
        Interval K that holds :math:`w_0`.
    concave : tuple of float
        Interval C; empty where the proof is in closed form.
    edges : tuples of float
        Edges of the cells left and right of C.
    counterexample : float or None
        A frequency at which the inequality fails for every :math:`w_0` in K.
    """

    profile: RollOff | Falling
    samples: float | None
    verdict: Verdict
    reason: str
    maximiser: tuple[float, float] | None = None
    concave: tuple[float, float] | None = None
    edges: tuple[tuple[float, ...], ...] = field(default=(), repr=False)
    counterexample: float | None = None

    @property
    def c(self) -> float:
        r"""The factor: :math:`1/\sqrt2` (exact) if proven, else 1, which needs no proof."""
        return math.sqrt(0.5) if self.verdict == "proven" else 1.0

    @property
    def shift(self) -> float:
        r""":math:`x_0 = 1/(2w_0)` at the middle of K; NaN where nothing was found."""
        return 1 / sum(self.maximiser) if self.maximiser else math.nan

    @property
    def cells(self) -> int:
        """Number of intervals on which the inequality was tested."""
        return sum(len(e) - 1 for e in self.edges) + (PIECES if self.concave else 0)

    def recheck(self) -> bool:
        """Whether the stored intervals prove, or the stored frequency refutes, what the verdict says."""
        if self.verdict == "refuted":
            found = maximum(self.profile, self.samples)
            return self.counterexample is not None and fails(self.profile, self.samples, self.counterexample, found)
        if self.verdict != "proven" or not isinstance(self.profile, RollOff):
            return False
        if self.concave is None:
            return _closed_form(self.profile, self.samples) == self.maximiser
        (k1, k2), (c1, c2) = self.maximiser or (math.nan, math.nan), self.concave
        sides = [np.array(e) for e in self.edges]
        covered = (
            len(sides) == 2
            and sides[0][0] == 0
            and sides[0][-1] == c1 < k1 <= k2 < c2 == sides[1][0]
            and sides[1][-1] >= self.profile.end
            and all(np.all(np.diff(e) > 0) for e in sides)
        )
        return covered and is_proven(self.profile, self.samples, (k1, k2), (c1, c2), sides)


def one_shift(
    profile: RollOff | Falling | Frame, samples: float | Sequence[float] | None = None, *, d: int = 1
) -> OneShiftProof:
    r"""Prove or refute that one shift gives :math:`c = 1/\sqrt2` for all real frequencies.

    Parameters
    ----------
    profile : RollOff, Falling or Frame
        Low-pass on the line; of a frame with a radial Meyer-type low-pass (wavelets, directional wavelets, curvelets,
        ridgelets, steerable and Riesz wavelets) its own. `Falling` can be refuted, but not proven.
    samples : number, one number per axis, or None
        The translation s, in samples (units for frames with a cutoff), in array coordinates of the layer; None for the
        majorant.
    d : int
        Dimension, where `samples` does not tell it. The majorant is inapplicable for d > 1.

    Returns
    -------
    OneShiftProof

    Raises
    ------
    TypeError, ValueError
        For other profiles, a shift that is 0 or not finite, or numbers that do not fit d.
    """
    profile, length, d = _checked(profile, samples, d)
    if length is None and d > 1:
        reason = "the majorant |w||chi| is positive across the shift, where sin^2 vanishes; give the shift"
        return OneShiftProof(profile, None, "inapplicable", reason)
    if isinstance(profile, RollOff):
        closed = _closed_form(profile, length)
        if closed is not None:
            return OneShiftProof(profile, length, "proven", "closed form", closed)
    found = maximum(profile, length)
    candidates = np.concatenate([np.linspace(0, profile.end, 513)[1:], [sum(found[0])]])
    for w in candidates:
        if fails(profile, length, float(w), found):
            reason = f"M({w:.6g}) exceeds sup M sin^2(pi w x_0)"
            return OneShiftProof(profile, length, "refuted", reason, found[0], counterexample=float(w))
    if isinstance(profile, Falling):
        return OneShiftProof(profile, length, "undecided", "values alone say nothing at the maximiser", found[0])
    swept = sweep(profile, length, found[0])
    if swept is None:
        return OneShiftProof(profile, length, "undecided", "the sweep did not close", found[0])
    K, C, sides = swept
    edges = tuple(tuple(e.tolist()) for e in sides)
    return OneShiftProof(profile, length, "proven", "sweep over the support", K, C, edges)


def _checked(
    profile: RollOff | Falling | Frame, samples: float | Sequence[float] | None, d: int
) -> tuple[RollOff | Falling, float | None, int]:
    """The profile, the length of the shift, and the dimension."""
    if isinstance(profile, RADIAL):
        profile = _of_frame(profile)
    if not isinstance(profile, (RollOff, Falling)):
        raise TypeError(
            f"`one_shift(profile=...)`: got {type(profile).__name__}, expected a RollOff, a Falling profile or a frame "
            f"with a radial low-pass ({', '.join(f.__name__ for f in RADIAL)})."
        )
    if samples is None:
        return profile, None, d
    shift = tuple(float(s) for s in samples) if isinstance(samples, Sequence) else (float(samples),)
    length = math.hypot(*shift)
    if not (0 < length < math.inf) or (d > 1 and len(shift) not in (1, d)):
        raise ValueError(f"`one_shift(samples=...)`: got {samples!r}, expected a finite shift other than 0 (d = {d}).")
    return profile, length, max(d, len(shift))


def _of_frame(frame: Frame) -> RollOff:
    """The low-pass of a radial family: with J in cycles per reference sample, with a cutoff in cycles per unit."""
    values = vars(frame)
    J, Q = values["J"], values.get("Q", 1)
    if J is None and Q != 1:
        raise ValueError(
            "`one_shift(profile=...)`: the low-pass of a frame with Q > 1 and a cutoff depends on the grid."
        )
    flat, zero = (dyadic_cuts(J or 0, 0.5) if Q == 1 else q_cuts(J, Q, 0.5))[0]
    unit = 1.0 if J is not None else 2.0 * values["cutoff"]
    return RollOff(flat * unit, zero * unit, values["step"], values.get("log", False))


def _closed_form(profile: RollOff, s: float | None) -> tuple[float, float] | None:
    """The maximiser where the proof needs no sweep."""
    turn = math.inf if s is None else 1 / (2 * s)
    flat = profile.end if profile.step == "sharp" else profile.flat
    if turn <= flat:
        return turn, turn
    return (profile.end, profile.end) if profile.step == "sharp" else None
