r"""Part c: how much energy the layers pass on, and how many layers hold a given share of it.

Signals of 128 samples, modulus, no pooling. Two tight frames of one-sided atoms whose low-pass has its half-power
frequency at 16 cycles per period: wavelets in octaves, and Weyl-Heisenberg bands of spacing R = 16,
:math:`|\hat g_k(\xi)|^2 = \cos^2(\tfrac\pi2 \nu(|\xi - (k + \tfrac12) R| / R))`, k = 1, 2, ..., of which the highest
also takes what lies above its centre. These are the bands of which the theorem speaks: the lowest is [R/2, 5R/2].
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import scatter_theory as st
from scatter_theory import theory, verify
from studies.literature.jobs import Found, Job
from studies.shared.summary import table_lines

SAMPLES, SPACING = 128, 16
#: Shares of the energy that layers 0..N are to hold.
SHARES = (0.5, 0.75, 0.9, 0.95, 0.99)
#: Rates of the theorem in the continuous case, and the exponent of the kernel that the count uses there.
RATES = {"wavelets": theory.wavelet_decay_rate(2.0), "Weyl-Heisenberg": theory.weyl_heisenberg_decay_rate()}
EXPONENT = 1.0001


@dataclass(frozen=True)
class Size:
    """How much is measured: layers, candidates of the search, draws of noise and windows of the ECG."""

    depth: int
    random: int
    structured: int
    draws: int
    seed: int = 0


FULL = Size(depth=5, random=8, structured=32, draws=32)
QUICK = Size(depth=3, random=1, structured=4, draws=2)


@dataclass(frozen=True)
class Row:
    r""":math:`W_n(f)/\|f\|^2`.

    Parameters
    ----------
    frame, signals : str
    layer : int
    share : float
        Measured; the mean over noise and ECG, the worst case found for ``"searched"``.
    bound : float
        Of the theorem, for the same signals.
    """

    frame: str
    signals: str
    layer: int
    share: float
    bound: float


@dataclass(frozen=True)
class Layers:
    r"""Smallest N with which layers 0..N hold a share of the energy.

    Parameters
    ----------
    frame : str
    share : float
    unit : int
        Of the theorem, for signals up to the gap, :math:`|\xi| \le \delta`, with the rate of the line.
    grid, general : int
        Of the theorem, for all signals of this grid: with the rate of these bands, and without one.
    searched, noise, ecg : int or None
        Measured; None where more layers would be needed than were computed.
    """

    frame: str
    share: float
    unit: int
    grid: int
    general: int
    searched: int | None
    noise: int | None
    ecg: int | None


def weyl_heisenberg() -> st.frames.Filters:
    """The bands of the module's docstring; the Nyquist frequency belongs to both sides, with half of the power each."""
    xi = torch.fft.fftfreq(SAMPLES, dtype=torch.float64) * SAMPLES
    centres = [(k + 0.5) * SPACING for k in range(1, SAMPLES // (2 * SPACING))]
    powers = [_window((xi.abs() - c) / SPACING) for c in centres]
    powers[-1] = torch.where(xi.abs() > centres[-1], 1.0, powers[-1])
    sides = [torch.where(xi.abs() * 2 == SAMPLES, 0.5, (s * xi > 0).double()) for s in (1, -1)]
    atoms = torch.stack([(p * side).sqrt() for p in powers for side in sides])
    output = (1 - (atoms**2).sum(0)).clamp_min(0).sqrt()
    return st.frames.Filters(atoms.to(torch.complex128), output.to(torch.complex128), kind="spectra")


def _window(u: Tensor) -> Tensor:
    """Squared window on [-1, 1] whose shifts by whole numbers sum to one."""
    v = u.abs()
    inside = torch.cos(0.5 * torch.pi * v**4 * (35 - 84 * v + 70 * v**2 - 20 * v**3)) ** 2
    return torch.where(v < 1, inside, 0.0)


FRAMES = {"wavelets": lambda: st.frames.Wavelets(J=2), "Weyl-Heisenberg": weyl_heisenberg}


def measure(name: str, size: Size) -> dict[str, Any]:
    """Shares of the energy with their bounds, and the constants of the bound."""
    phi = st.FeatureExtractor([st.Layer(FRAMES[name]())] * size.depth, st.Grid.line(SAMPLES))
    effort = verify.Effort(size.random, size.structured, 0, 0)
    check = verify.energy(phi, form="rate", effort=effort, generator=size.seed)
    noise = torch.randn(size.draws, SAMPLES, dtype=torch.float64, generator=torch.Generator().manual_seed(size.seed))
    ecg = st.data.ecg().windows((SAMPLES,)).values[: size.draws]
    rows = [
        Row(name, "searched", int(n), float(m), float(b))
        for n, m, b in zip(check.x, check.measured, check.bound, strict=True)
    ]
    rate, gap = check.constants["a"].value, check.constants["delta"].value
    for signals, f in (("noise", noise), ("ECG", torch.tensor(ecg, dtype=torch.float64))):
        rows += _given(name, signals, phi, f, rate, gap)
    return {"outcome": check.outcome.name, "rate": rate, "gap": gap, "rows": [asdict(row) for row in rows]}


def _given(name: str, signals: str, phi: st.FeatureExtractor, f: Tensor, rate: float, gap: float) -> list[Row]:
    total = phi.grid.energy(f)
    shares = [float((w / total).mean()) for w in phi(f).remainder]
    bins = (torch.fft.fftfreq(SAMPLES, dtype=torch.float64) * SAMPLES).abs()
    power = phi.grid.fft(f).abs() ** 2
    power = power / power.sum(-1, keepdim=True)
    rows = []
    for n in range(1, min(phi.depth, theory.decay_steps_on_grid(SAMPLES, delta=gap, rate=rate)) + 1):
        kernel = torch.as_tensor(theory.decay_multiplier(bins.numpy(), n, delta=gap, rate=rate))
        rows.append(Row(name, signals, n, shares[n], float((power @ kernel).mean())))
    return rows


def jobs(size: Size) -> list[Job]:
    """One per frame."""
    return [Job("c", name, {"frame": name, **asdict(size)}, partial(measure, name, size)) for name in FRAMES]


def rows(found: Found) -> list[Row]:
    """All shares."""
    return [Row(**row) for result in found.values() for row in result["rows"]]


def layers(found: Found) -> list[Layers]:
    """The counts, frame by frame."""
    table = []
    for name, result in found.items():
        rate, gap = result["rate"], result["gap"]
        for share in SHARES:
            unit = theory.layers_needed(share, m=EXPONENT, rate=RATES[name])
            grid, general = (theory.layers_needed(share, L=SAMPLES / 2, delta=gap, rate=a) for a in (rate, None))
            counts = [_enough(rows({name: result}), signals, share) for signals in ("searched", "noise", "ECG")]
            table.append(Layers(name, share, unit, grid, general, *counts))
    return table


def _enough(table: list[Row], signals: str, share: float) -> int | None:
    """Layers 0..N leave the energy of layer N + 1."""
    left = {row.layer: row.share for row in table if row.signals == signals}
    return next((n - 1 for n in sorted(left) if left[n] <= 1 - share), None)


def tables(found: Found) -> dict[str, list[Any]]:
    """Tables by the names of their files."""
    return {"c_decay": rows(found), "c_layers": layers(found)}


def markdown(found: Found) -> str:
    """The counts, and the verdicts of the bound."""
    head = ["frame", "share", "theorem, signals up to the gap", "theorem, this grid", "theorem, no rate"]
    head += ["worst found", "noise", "ECG"]
    cells = [["" if c is None else str(c) for c in asdict(row).values()] for row in layers(found)]
    verdicts = [f"* {n}: a = {r['rate']:.4g}, gap {r['gap']:g} bins, {r['outcome']}" for n, r in found.items()]
    return "\n".join([*table_lines(head, cells), "", *verdicts]) + "\n"


def draw(found: Found, path: Path) -> None:
    """Shares and bounds against the layer."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    with house_style():
        figure, axes = plt.subplots(1, len(found), figsize=(10, 3.8), layout="constrained", sharey=True)
        for ax, name in zip(axes, found, strict=True):
            for (signals, marker), color in zip(_MARKERS.items(), ("C0", "C1", "C2"), strict=True):
                table = [row for row in rows({name: found[name]}) if row.signals == signals]
                x = [row.layer for row in table]
                ax.plot(x, [row.share for row in table], marker, ls="-", color=color, label=f"{signals}, measured")
                ax.plot(x, [row.bound for row in table], ls="--", color=color, label=f"{signals}, bound")
            ax.set_yscale("log")
            ax.set_xticks(x)
            ax.set_xlabel("layer n")
            ax.set_title(name)
        axes[0].set_ylabel(r"$W_n / \|f\|^2$")
        axes[-1].legend(fontsize=8)
        figure.savefig(path, dpi=110)
        plt.close(figure)


_MARKERS = {"searched": "o", "noise": "s", "ECG": "^"}
