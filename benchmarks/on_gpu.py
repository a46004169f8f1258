"""What a GPU has to show: right values, no waiting for the device, gradients. Prints one line per check.

Run ``python benchmarks/on_gpu.py``.
"""

from __future__ import annotations

import warnings

import torch

import scatter_theory as st


def cases() -> dict[str, tuple[list[st.Layer], st.Grid, dict[str, object]]]:
    """Networks of every dimension, non-linearity and pooling in small."""
    f = st.frames
    line, plane, cube = st.Grid.line(512), st.Grid.square(64), st.Grid.cube(16)
    return {
        "wavelets 1-D": ([st.Layer(f.Wavelets(J=5), st.Modulus(), st.Subsample(2))] * 3, line, {}),
        "wavelets 1-D average": ([st.Layer(f.Wavelets(J=4), st.Modulus(), st.Average(2))] * 2, line, {}),
        "wavelets 1-D ReLU": ([st.Layer(f.Wavelets(J=4), st.ReLU())] * 2, line, {}),
        "wavelets 1-D max": ([st.Layer(f.Wavelets(J=4), st.Modulus(), st.Max(2))] * 2, line, {"sampling": "decimate"}),
        "Morlet 1-D": ([st.Layer(f.Morlet(J=5, Q=4).scaled(0.5))] * 2, line, {"paths": st.FrequencyDecreasing()}),
        "curvelets": ([st.Layer(f.Curvelets(J=3), st.Modulus(), st.Subsample(2))] * 2, plane, {}),
        "shearlets": ([st.Layer(f.Shearlets(J=3))] * 2, plane, {"paths": st.FrequencyDecreasing()}),
        "ridgelets": ([st.Layer(f.Ridgelets(J=3))] * 2, plane, {"paths": st.FrequencyDecreasing()}),
        "Weyl-Heisenberg tanh": ([st.Layer(f.WeylHeisenberg(M=4), st.Tanh())] * 2, plane, {}),
        "wavelets 3-D": ([st.Layer(f.Wavelets(J=2))] * 2, cube, {}),
    }


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Norm of the difference over the norm."""
    a, b = (t.detach().cpu().to(torch.complex128 if t.is_complex() else torch.float64) for t in (a, b))
    return float((a - b).norm() / b.norm().clamp_min(1e-300))


def check(name: str, layers: list[st.Layer], grid: st.Grid, options: dict[str, object]) -> str:
    """Values against the CPU, one pass in which waiting for the device is an error, and a gradient."""
    phi = st.FeatureExtractor(layers, grid, engine="fast", **options)
    x = torch.randn(4, *grid.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        here = [layer.values for layer in phi(x)]
    y = x.clone().requires_grad_()
    sum(layer.values.abs().square().sum() for layer in phi(y)).backward()
    phi, far = phi.to("cuda"), x.cuda()
    with torch.no_grad():
        phi(far)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        there = [layer.values for layer in phi(far)]
        torch.cuda.set_sync_debug_mode("default")
    values = max(relative(a, b) for a, b in zip(there, here, strict=True))
    z = far.clone().requires_grad_()
    sum(layer.values.abs().square().sum() for layer in phi(z)).backward()
    return f"{name:>22}  values {values:.1e}  no waiting: yes  gradient {relative(z.grad, y.grad):.1e}"


def front_ends() -> list[str]:
    """The scattering front ends on both devices."""
    found = []
    for S, shape in (
        (st.Scattering1D(J=6, shape=2048, Q=4), (4, 2048)),
        (st.Scattering2D(J=3, shape=(64, 64)), (4, 64, 64)),
    ):
        x = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            here, far = S(x), x.cuda()
            S = S.to("cuda")
            S(far)
            torch.cuda.set_sync_debug_mode("error")
            there = S(far)
            torch.cuda.set_sync_debug_mode("default")
        found.append(f"{type(S).__name__:>22}  values {relative(there, here):.1e}  no waiting: yes")
    return found


def main() -> None:
    """All checks; an exception is a failed check."""
    warnings.simplefilter("ignore", st.AdmissibilityWarning)
    print(torch.cuda.get_device_name(), torch.__version__)
    for name, case in cases().items():
        try:
            print(check(name, *case), flush=True)
        except RuntimeError as error:
            torch.cuda.set_sync_debug_mode("default")
            print(f"{name:>22}  FAILED: {error}", flush=True)
    print("\n".join(front_ends()))


if __name__ == "__main__":
    main()
