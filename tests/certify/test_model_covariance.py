"""The defect of translation covariance in closed form, and what has none."""

import math

import pytest
import torch
from torch import nn

from scatter_theory.certify.model._covariance import covariance_defect


def tone(n, k, channels=1):
    angles = 2 * math.pi * k * torch.arange(n, dtype=torch.float64) / n
    return torch.cos(angles + 0.3).expand(1, channels, n).contiguous()


def subsampling(S, d=1):
    return {1: nn.AvgPool1d, 2: nn.AvgPool2d}[d](1, stride=S).eval()


def test_a_tone_below_the_coarse_nyquist_frequency_moves_along():
    assert covariance_defect(subsampling(2), tone(16, 3)).value < 1e-13


def test_a_tone_above_it_moves_the_wrong_way():
    r"""Frequency 7 of 16 becomes -1 of 8: a shift by one sample turns it by -2 pi 7/16 and not by 2 pi /16."""
    found = covariance_defect(subsampling(2), tone(16, 7), shifts=[(1,)])
    assert found.value == pytest.approx(abs(1 - complex(math.cos(math.pi), math.sin(math.pi))), rel=1e-12)
    found = covariance_defect(subsampling(4), tone(16, 3), shifts=[(1,), (2,)])
    assert found.defects == pytest.approx((math.sqrt(2), 2.0), rel=1e-12) and found.worst == (2,)


def test_an_average_before_the_stride_lowers_the_defect():
    """1 + (-1)^j: sub-sampled it is 2 or 0, averaged over two samples always 1."""
    x = (1 + torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)).reshape(1, 1, 8)
    assert covariance_defect(subsampling(2), x).value == pytest.approx(1.0)
    assert covariance_defect(nn.AvgPool1d(2).eval(), x).value < 1e-14


@pytest.mark.parametrize(("mode", "covariant"), [("circular", True), ("zeros", False)])
def test_only_the_border_disturbs_shifts_by_the_stride(mode, covariant):
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=1, padding_mode=mode).double()
    model = nn.Sequential(layer, nn.ReLU()).eval()
    found = covariance_defect(model, torch.randn(3, 2, 8, 6, dtype=torch.float64))
    assert found.stride == (2, 2) and len(found.shifts) == 8
    assert (found.whole < 1e-13) == covariant and found.value > 0.1


def test_the_worst_of_several_inputs_counts():
    inputs = torch.cat([tone(16, 3), tone(16, 7)])
    found = covariance_defect(subsampling(2), inputs)
    assert found.value == covariance_defect(subsampling(2), inputs[1:]).value > 1
    assert found.to_dict()["stride"] == (2,) and "shift (1,)" in str(found)


def test_without_shifts_by_the_stride_there_is_no_number_for_them():
    assert covariance_defect(subsampling(2), tone(8, 1), shifts=[(1,), (3,)]).whole is None


REFUSED = {
    "no axes left": (nn.Flatten(), tone(8, 1), None, "cut the model before its axes go"),
    "sizes that do not divide": (nn.AvgPool1d(3, 2), tone(8, 1), None, "lengths that divide"),
    "zero output": (nn.ReLU(), -1 - tone(8, 1).square(), None, "the output of an input is zero"),
    "fractions": (nn.ReLU(), tone(8, 1), [(0.5,)], "whole numbers"),
    "too many numbers": (nn.ReLU(), tone(8, 1), [(1, 1)], "1 whole numbers"),
    "no shift": (nn.ReLU(), tone(8, 1), [], "at least one"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    model, inputs, shifts, message = REFUSED[name]
    with pytest.raises(ValueError, match=rf"`covariance_defect\(.*{message}"):
        covariance_defect(model.eval(), inputs, shifts=shifts)


def test_training_mode_is_refused():
    with pytest.raises(ValueError, match="training mode"):
        covariance_defect(nn.ReLU(), tone(8, 1))
