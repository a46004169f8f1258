"""The theory as data and arithmetic: every theorem with its hypotheses, every bound as a pure function.

Nothing here knows of signals, tensors or devices, so that this room can be read beside the papers. The letters are
theirs: frame bounds ``A <= B``, Lipschitz constants ``L`` (non-linearity) and ``R`` (pooling), pooling factor ``S``,
decay constant ``K`` in cycles per unit, translation ``t``, output atom ``chi``, propagated energy ``W``.
"""

from scatter_theory.theory._closed_forms import (
    box_decay_constant,
    gaussian_decay_constant,
    gaussian_weyl_heisenberg_bounds,
    gaussian_weyl_heisenberg_sum,
    ideal_decay_constant,
)
from scatter_theory.theory._contraction import (
    admissibility,
    certified_factors,
    energy_sandwich,
    local_lipschitz,
    normalising_factor,
    normalising_factors_balanced,
    refined_admissibility,
    remainder_bound,
)
from scatter_theory.theory._decay import (
    band_decay_rate,
    decay_multiplier,
    decay_steps_on_grid,
    getter_bound,
    layers_needed,
    sobolev_decay_bound,
    wavelet_decay_rate,
    weyl_heisenberg_decay_rate,
)
from scatter_theory.theory._theorems import THEOREMS, Theorem
from scatter_theory.theory._translation import (
    alias_budget,
    alias_term,
    alias_term_a_priori,
    full_covariance_bound,
    translation_bound,
    translation_multiplier,
    translation_multiplier_cap,
    translation_posteriori_bound,
)

__all__ = [
    "THEOREMS",
    "Theorem",
    "admissibility",
    "alias_budget",
    "alias_term",
    "alias_term_a_priori",
    "band_decay_rate",
    "box_decay_constant",
    "certified_factors",
    "decay_multiplier",
    "decay_steps_on_grid",
    "energy_sandwich",
    "full_covariance_bound",
    "gaussian_decay_constant",
    "gaussian_weyl_heisenberg_bounds",
    "gaussian_weyl_heisenberg_sum",
    "getter_bound",
    "ideal_decay_constant",
    "layers_needed",
    "local_lipschitz",
    "normalising_factor",
    "normalising_factors_balanced",
    "refined_admissibility",
    "remainder_bound",
    "sobolev_decay_bound",
    "translation_bound",
    "translation_multiplier",
    "translation_multiplier_cap",
    "translation_posteriori_bound",
    "wavelet_decay_rate",
    "weyl_heisenberg_decay_rate",
]
