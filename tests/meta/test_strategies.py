"""The strategies draw what they promise."""

import pytest
from hypothesis import given, settings
from strategies import TIGHT, tight_cases


@pytest.mark.parametrize("family", TIGHT)
def test_cases_cover_the_shapes(family):
    seen = set()

    @settings(max_examples=58, derandomize=True, database=None, deadline=None)
    @given(case=tight_cases(family))
    def collect(case):
        shape = case.reference.shape
        assert all(3 <= n <= 40 for n in shape) and case.grid.shape == shape
        assert type(case.frame).__name__ == family and case.reference.ndim in case.frame.dims
        seen.add(f"d = {len(shape)}")
        seen.update("odd" if n % 2 else "even" for n in shape)
        seen.add("square" if len(set(shape)) == 1 else "not square")
        seen.add("relabelled" if case.grid != case.reference else "first layer")
        seen.add("equal spacings" if len(set(case.grid.spacing)) == 1 else "unequal spacings")

    collect()
    promised = {"odd", "even", "relabelled", "first layer", *(f"d = {d}" for d in TIGHT[family][1])}
    promised |= {"not square", "unequal spacings"} if TIGHT[family][1] != (1,) else set()
    assert promised <= seen
