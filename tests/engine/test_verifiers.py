"""Verifiers measure the network on the full grid in double precision, whatever engine they are given."""

import numpy as np
import pytest
import torch

import scatter_theory as st

LIGHT = st.verify.Effort(2, 4, 2, 1)


VERIFIERS = [st.verify.energy, st.verify.lipschitz, st.verify.covariance, st.verify.translation]


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_fast_extractor_is_verified_on_the_exact_engine(verifier):
    layer = st.Layer(st.frames.Wavelets(J=3), st.Modulus(), st.Subsample(2))
    exact = st.FeatureExtractor([layer, layer], st.Grid.line(64))
    fast = exact.rebuilt(engine="fast", dtype=torch.float32)
    f = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    one, other = (verifier(phi, f, effort=LIGHT, generator=0) for phi in (exact, fast))
    assert one.outcome == other.outcome
    assert np.array_equal(np.asarray(one.measured), np.asarray(other.measured), equal_nan=True)
