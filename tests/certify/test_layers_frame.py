"""`frames.from_conv`: the filters of a layer with one input channel as an ordinary frame."""

import pytest
import torch
from torch import nn

import scatter_theory as st
from scatter_theory import Grid, certify, frames

LAYERS = [
    (nn.Conv1d(1, 3, 5, padding=2, padding_mode="circular", dtype=torch.float64), Grid.line(9)),
    (nn.Conv1d(1, 2, 3, padding=2, dilation=2, padding_mode="circular", dtype=torch.float64), Grid.line(8)),
    (nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular", dtype=torch.float64), Grid.of((6, 7))),
    (nn.Conv2d(1, 2, (3, 1), padding="same", padding_mode="circular", dtype=torch.float64), Grid.of((4, 5))),
    (nn.Conv3d(1, 2, 3, padding=1, padding_mode="circular", dtype=torch.float64), Grid.of((3, 4, 3))),
    (nn.Conv1d(1, 3, 3, padding=1, padding_mode="circular", dtype=torch.complex128), Grid.line(7)),
]


def linear_part(layer, u):
    return layer(u[None]) - layer(torch.zeros_like(u)[None])


@pytest.mark.parametrize(("layer", "grid"), LAYERS)
def test_the_atoms_filter_as_the_layer_does(layer, grid):
    u = torch.randn(1, *grid.shape, dtype=layer.weight.dtype, generator=torch.Generator().manual_seed(0))
    expected = linear_part(layer, u).detach()[0]
    frame = frames.from_conv(layer, grid)
    bank = frame.on(grid)
    assert bank.kind == ("full" if layer.weight.is_complex() else "real") and not bank.spectra.requires_grad
    found = grid.ifft(bank.spectra * grid.fft(u.to(torch.complex128)))
    torch.testing.assert_close(found, expected.to(torch.complex128), rtol=1e-12, atol=1e-12)
    for channel in range(2):
        bank = frames.from_conv(layer, grid, output=channel).on(grid)
        found = grid.ifft(bank.output * grid.fft(u[0].to(torch.complex128)))
        torch.testing.assert_close(found, expected[channel].to(torch.complex128), rtol=1e-12, atol=1e-12)
        assert len(bank) == layer.out_channels - 1


@pytest.mark.parametrize(("layer", "grid"), LAYERS)
def test_bounds_are_those_of_the_layer_and_the_complement_is_tight(layer, grid):
    expected = certify.conv_bounds(layer, grid.shape)
    assert expected.exact
    A, B = frames.from_conv(layer, grid, output=0).on(grid).bounds()
    assert A == pytest.approx(expected.A.value, abs=1e-12 * B) and pytest.approx(expected.B.value, rel=1e-12) == B
    A, B = frames.from_conv(layer, grid).on(grid).bounds()
    assert [A, B] == pytest.approx([expected.B.value] * 2, rel=1e-12)


def test_it_is_an_ordinary_frame():
    layer, grid = LAYERS[2]
    frame = frames.from_conv(layer, grid).normalised(st.ReLU(), st.NoPooling())
    phi = st.FeatureExtractor([st.Layer(frame, st.ReLU(), st.NoPooling())], grid)
    assert all(constant.value <= 1 + 1e-12 for constant in phi.admissibility())
    assert st.verify.frame(frame, grid).holds


@pytest.mark.parametrize(
    ("layer", "options", "error", "match"),
    [
        (nn.Conv1d(2, 3, 3), {}, ValueError, "certify.conv_bounds"),
        (nn.Conv1d(1, 3, 3, stride=2), {}, ValueError, "expected 1: dropping samples"),
        (nn.Conv2d(1, 3, 3), {}, ValueError, "got 1 axes, expected 2"),
        (nn.ConvTranspose1d(1, 3, 3), {}, TypeError, "got ConvTranspose1d"),
        (nn.Conv1d(1, 3, 3), {"output": 3}, ValueError, "channel from 0 to 2"),
        (nn.Conv1d(1, 3, 3), {"output": "first"}, ValueError, "'complement' or a channel"),
        (nn.Conv1d(1, 1, 3), {"output": 0}, ValueError, "nothing would propagate"),
    ],
)
def test_what_is_no_frame_is_refused(layer, options, error, match):
    with pytest.raises(error, match=match):
        frames.from_conv(layer, Grid.line(8), **options)


def test_a_forward_pass_of_its_own_is_refused():
    class Doubled(nn.Conv1d):
        def forward(self, u):
            return 2 * super().forward(u)

    with pytest.raises(TypeError, match="forward pass of its own"):
        frames.from_conv(Doubled(1, 2, 3), Grid.line(8))
