"""Every claim that a verifier can test, as data: statement, hypotheses, source, and what it says on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Theorem:
    """A claim with its hypotheses.

    Parameters
    ----------
    key : str
        Name used by results: ``BoundCheck.claim``.
    title : str
        A few words for headings.
    statement : str
        The formula, in plain LaTeX without dollar signs.
    hypotheses : tuple of str
        Conditions without which the claim says nothing.
    source : str
        Where it comes from. What is called proved has its proof in the docstrings of `scatter_theory.theory`.
    verifier : str
        Function of ``scatter_theory.verify`` that tests it.
    on_grid : str
        What is exactly true for arrays on a periodic grid.
    """

    key: str
    title: str
    statement: str
    hypotheses: tuple[str, ...]
    source: str
    verifier: str
    on_grid: str

    def __str__(self) -> str:
        conditions = "\n".join(f"  - {h}" for h in self.hypotheses)
        return (
            f"{self.title}\n  {self.statement}\n{conditions}\n  Source: {self.source}\n  On a grid: {self.on_grid}\n"
            f"  Check: scatter_theory.verify.{self.verifier}"
        )


_WB = "Wiatowski and Bölcskei, IEEE Trans. Inf. Theory 64 (2018)"
_WGB = "Wiatowski, Grohs and Bölcskei, IEEE Trans. Inf. Theory 64 (2018)"
_ADMISSIBLE = "every layer is admissible: max{B, B L^2 R^2} <= 1 (or the refined condition)"
_COMMUTES = "non-linearities and poolings commute with translations"
_PARSEVAL = "every layer's atoms form a Parseval frame (A = B = 1) for the maps that enter it"
_MODULUS = "the non-linearity is the modulus, and no pooling loses energy"
_WHOLE = "Exact for whole-sample shifts on relabelled grids, for shifts divisible by S_1...S_n when decimating."

_SMALL_JACOBIAN = "the Jacobian is small: d sup max |d_l tau_k| <= 1/2, that is, its largest entry is at most 1/(2d)"
_CHAIN = "features move no farther than c_0^(1/2) times the signal"
_GRID_FORM = "Exact for the samples, with the grid form of the bound; the L2 form is approached on finer grids."

_ALL = (
    Theorem(
        key="frame",
        title="Frame bounds",
        statement=r"A \|f\|^2 \le \|f * \chi\|^2 + \sum_\lambda \|f * g_\lambda\|^2 \le B \|f\|^2",
        hypotheses=("A <= |chi^(xi)|^2 + sum |g^(xi)|^2 <= B at almost every frequency (even part for real f)",),
        source="Littlewood-Paley characterisation, by Plancherel",
        verifier="frame",
        on_grid="Exact, with the minimum and maximum of the sum over the DFT frequencies.",
    ),
    Theorem(
        key="admissibility",
        title="Admissibility",
        statement=r"\max\{B_n, B_n L_n^2 R_n^2\} \le 1 \text{ for every layer } n",
        hypotheses=("non-linearity and pooling are Lipschitz with the constants L, R in the norm in use",),
        source=f"{_WB}, eq. (17); the refined form sup(|chi^|^2 + L^2 R^2 sum |g^|^2) <= 1 is proved here",
        verifier="admissibility",
        on_grid="Exact, with the bounds on each layer's own DFT frequencies.",
    ),
    Theorem(
        key="lipschitz",
        title="Lipschitz continuity",
        statement=r"|||\Phi(f) - \Phi(h)||| \le c_0^{1/2} \|f - h\|, \quad c_0 \le 1 \text{ if admissible}",
        hypotheses=("non-linearity and pooling are Lipschitz with the constants L, R in the norm in use",),
        source=f"{_WB} for c_0 = 1; the constant c_0 of any network is proved here",
        verifier="lipschitz",
        on_grid="Exact in both sampling modes, with R of the mode.",
    ),
    Theorem(
        key="energy",
        title="Energy balance",
        statement=r"\sum_{n<N} |||\Phi^n(f)|||^2 + W_N(f) \le \|f\|^2, "
        r"\quad \text{with equality for Parseval frames and the modulus}",
        hypotheses=(_ADMISSIBLE, "non-linearity and pooling map 0 to 0"),
        source=f"{_WB}; the identity in {_WGB}; both proved here",
        verifier="energy",
        on_grid="Exact; energy of pruned paths is added to W_N. Decimation keeps the inequality only.",
    ),
    Theorem(
        key="remainder",
        title="Propagated energy never increases",
        statement=r"W_{n+1}(f) \le L_{n+1}^2 R_{n+1}^2 \sup G_{n+1} \, W_n(f), \quad W_n(f) = \sum_q \|U[q]f\|^2",
        hypotheses=("non-linearity and pooling map 0 to 0",),
        source="proved here",
        verifier="energy",
        on_grid="Exact.",
    ),
    Theorem(
        key="getter",
        title="Uniform exponential decay on a finite grid",
        statement=r"W_N(f) \le (\|f\|^2 - \|f * \chi_0\|^2) \prod_{n=1}^{N-1} (1 - 1/s_n)",
        hypotheses=(_PARSEVAL, _MODULUS, "the output atoms pass the mean: |chi^(0)| = 1", "no decimation"),
        source="after Getter, arXiv:2502.15004; proved here for DFT bins",
        verifier="energy",
        on_grid="Exact; s_n is the largest number of DFT bins under one propagating filter of layer n.",
    ),
    Theorem(
        key="decay_rate",
        title="Energy decay of band-limited signals",
        statement=r"W_N(f) \le \int |\hat f(\xi)|^2 (1 - (1 - |\xi|/(\delta a^{N-1}))_+^{2m}) \, d\xi",
        hypotheses=(
            "one dimension",
            _PARSEVAL,
            "the non-linearity is the modulus, without pooling: S = 1",
            "every propagating filter is one-sided, with its spectrum in +-[p, q], and none reaches below delta",
        ),
        source=f"{_WGB}, with a = 5/3 for wavelets and 3/2 for Weyl-Heisenberg filters; proved here",
        verifier="energy",
        on_grid="Exact in DFT bins while delta a^(N-2) stays below the Nyquist frequency.",
    ),
    Theorem(
        key="covariance",
        title="Translation covariance",
        statement=r"\Phi^n(T_t f) = T_{t/(S_1 \cdots S_n)} \Phi^n(f)",
        hypotheses=(_COMMUTES,),
        source=f"{_WB}, Theorem 1 (i)",
        verifier="covariance",
        on_grid=_WHOLE,
    ),
    Theorem(
        key="translation",
        title="Vertical translation invariance",
        statement=r"|||\Phi^n(T_t f) - \Phi^n(f)||| \le \frac{2\pi |t| K_n}{S_1 \cdots S_n} \|f\|",
        hypotheses=(_ADMISSIBLE, _COMMUTES, "the output atoms decay: |chi_n^(xi)| |xi| <= K_n"),
        source=f"{_WB}, Theorem 1 (ii)",
        verifier="translation",
        on_grid=f"{_WHOLE} Fractional shifts add the alias budget (d = 1).",
    ),
    Theorem(
        key="translation_posteriori",
        title="Translation invariance, from the propagated maps",
        statement=r"|||\Phi^n(T_t f) - \Phi^n(f)||| \le \frac{2\pi |t|}{S_1 \cdots S_n} "
        r"\Big(\sum_q \| |\xi| \hat\chi_n \widehat{U[q]f} \|^2\Big)^{1/2}",
        hypotheses=(_COMMUTES,),
        source="proved here",
        verifier="translation",
        on_grid=_WHOLE,
    ),
    Theorem(
        key="translation_sharp",
        title="Vertical translation invariance of non-negative maps",
        statement=r"|||\Phi^n(T_t f) - \Phi^n(f)||| \le (\lambda_n w_n)^{1/2} \|f\|, \quad "
        r"|e^{-2\pi i\langle s,\xi\rangle} - 1|^2 |\hat\chi_n|^2 "
        r"+ \textstyle\sum_x \mu_x \cos 2\pi\langle x,\xi\rangle \le \lambda_n, \; \mu \ge 0",
        hypotheses=(
            _COMMUTES,
            "the maps that enter layer n + 1, n >= 1, have no negative correlation with their translates",
            "non-linearity and pooling map 0 to 0",
            "the shift is whole",
        ),
        source="proved here: duality of linear programs; W_n <= w_n ||f||^2 by the same certificate",
        verifier="translation",
        on_grid="Exact. Layer 0 keeps the exact multiplier.",
    ),
    Theorem(
        key="decay_sharp",
        title="Uniform decay of the energy of non-negative maps",
        statement=r"W_{n+1}(f) \le \lambda_n W_n(f), \quad L^2 R^2 \sum_l |\hat g_l|^2 + "
        r"\textstyle\sum_x \mu_x \cos 2\pi\langle x,\xi\rangle \le \lambda_n, \; \mu \ge 0",
        hypotheses=(
            "the maps that enter layer n + 1, n >= 1, have no negative correlation with their translates",
            "non-linearity and pooling map 0 to 0",
        ),
        source="proved here: duality of linear programs",
        verifier="decay",
        on_grid="A statement about the grid: the rate depends on the sampling, not on the length of the signal.",
    ),
    Theorem(
        key="full_covariance",
        title="Near covariance without rescaled shift",
        statement=r"|||\Phi^n(T_t f) - T_t \Phi^n(f)||| \le 2\pi |t| K_n \Big|\frac{1}{S_1 \cdots S_n} - 1\Big| \|f\|",
        hypotheses=(_ADMISSIBLE, _COMMUTES, "the output atoms decay: |chi_n^(xi)| |xi| <= K_n"),
        source=f"corollary to Theorem 1 of {_WB}; proved here",
        verifier="translation",
        on_grid="Exact where t and t/(S_1...S_n) are whole samples of the layer; both sides are 0 without pooling.",
    ),
    Theorem(
        key="deformation_band_limited",
        title="Deformation sensitivity, band-limited signals",
        statement=r"|||\Phi(F_{\tau,\omega} f) - \Phi(f)||| \le c_0^{1/2} \, 2\pi \, "
        r"(g(D) R \|\tau\|_\infty + \|\omega\|_\infty) \|f\|, \quad g(D) = 2/(1 + \sqrt{1 - D}) \le 1.1716",
        hypotheses=(_CHAIN, "f^ vanishes outside the ball of radius R", _SMALL_JACOBIAN),
        source=f"{_WB}, Theorem 2, for some constant; this constant and the grid form are proved here",
        verifier="deformation",
        on_grid=_GRID_FORM,
    ),
    Theorem(
        key="deformation_oscillation",
        title="Deformation sensitivity, oscillation of a given signal",
        statement=r"|||\Phi(F_{\tau,\omega} f) - \Phi(f)||| \le c_0^{1/2} \, "
        r"(\| \textstyle\sup_{|s| \le \|\tau\|_\infty} |f(\cdot - s) - f| \| + 2\pi\|\omega\|_\infty \|f\|)",
        hypotheses=(_CHAIN, "f is a trigonometric polynomial that is known"),
        source="proved here; attained at the input by a measurable displacement",
        verifier="deformation",
        on_grid="Exact: norms and suprema are those of the samples, over all real shifts.",
    ),
    Theorem(
        key="deformation_network",
        title="Deformation sensitivity by the network",
        statement=r"|||\Phi(F_\tau f) - \Phi(f)|||^2 \le \langle f, ((F_\tau-1)^*|\chi_0|^2(F_\tau-1) + a_1 G_1 "
        r"+ b_1 \textstyle\sum_l [g_l, F_\tau]^*[g_l, F_\tau]) f \rangle",
        hypotheses=(
            "non-linearities are pointwise with L <= 1 and map 0 to 0; pooling is left out or a dilation",
            "d sup max |d_l tau_k| < 1",
            "the displacement is given; a_n, b_n solve the block recursion for it",
        ),
        source="proved here: recursion over the layers in the map and its covariance error",
        verifier="deformation",
        on_grid="A statement about the network of the torus; it is measured on finer grids.",
    ),
    Theorem(
        key="deformation_gradient",
        title="Deformation sensitivity, a given signal",
        statement=r"|||\Phi(F_{\tau,\omega} f) - \Phi(f)||| \le c_0^{1/2} \, "
        r"(g(D) \|\tau\|_\infty \|\nabla f\| + 2\pi\|\omega\|_\infty \|f\|)",
        hypotheses=(_CHAIN, "f is a trigonometric polynomial whose spectrum is known", _SMALL_JACOBIAN),
        source="proved here",
        verifier="deformation",
        on_grid=f"{_GRID_FORM} Taylor's series with the signal's own spectrum is used where it is smaller.",
    ),
    Theorem(
        key="deformation_sobolev",
        title="Deformation sensitivity, Sobolev signals",
        statement=r"\|F_\tau f - f\| \le (1 + (1 - D)^{-1/2})^{1-s} (g(D) \|\tau\|_\infty)^s "
        r"\, \|(2\pi|\xi|)^s \hat f\|",
        hypotheses=(_CHAIN, "0 < s <= 1", _SMALL_JACOBIAN),
        source="interpolation of operators between L2 and H1; proved here",
        verifier="deformation",
        on_grid=_GRID_FORM,
    ),
    Theorem(
        key="deformation_lipschitz",
        title="Deformation sensitivity, Lipschitz signals",
        statement=r"\|F_\tau f - f\| \le K \|\tau\|_\infty V^{1/2}",
        hypotheses=(_CHAIN, "|f(x) - f(y)| <= K |x - y| on a torus of volume V"),
        source=f"class in {_WB}; the constant is proved here",
        verifier="deformation",
        on_grid="Exact, for every displacement.",
    ),
    Theorem(
        key="deformation_cartoon",
        title="Deformation sensitivity, cartoons",
        statement=r"\|F_\tau f - f\|^2 \le K^2 t^2 (V - T) + \max\{K t, K' t + J\}^2 \, T, "
        r"\quad t = \|\tau\|_\infty, \; T = \mathrm{vol}\{x : \mathrm{dist}(x, \partial B) \le t\}",
        hypotheses=(_CHAIN, "f is Lipschitz with K off its jumps, which are at most J, on a set of finite length"),
        source="Grohs, Wiatowski and Bölcskei, ISIT 2016, for class and exponent 1/2; constants are proved here",
        verifier="deformation",
        on_grid="Exact, for every displacement; T is the volume of the cells whose samples lie that near.",
    ),
    Theorem(
        key="nonlinearity",
        title="Lipschitz constant of the non-linearity",
        statement=r"\|M u - M v\| \le L \|u - v\|, \quad M 0 = 0",
        hypotheses=("the function acts on each sample by itself",),
        source="pointwise inequality, integrated; split functions keep the constant of their real function",
        verifier="nonlinearity",
        on_grid="Exact.",
    ),
    Theorem(
        key="pooling",
        title="Lipschitz constant of the pooling",
        statement=r"\|P u - P v\| \le R \|u - v\|, \quad P 0 = 0",
        hypotheses=("R belongs to the pooling, the sampling mode and the norm together",),
        source="Cauchy-Schwarz on windows; folded spectrum for a filter followed by decimation",
        verifier="pooling",
        on_grid="Exact.",
    ),
)

#: Every theorem by its key.
THEOREMS: Mapping[str, Theorem] = MappingProxyType({theorem.key: theorem for theorem in _ALL})
