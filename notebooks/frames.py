# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Frames and their bounds
#
# A semi-discrete frame satisfies $A\|f\|^2 \le \sum_\lambda \|f * g_\lambda\|^2 \le B\|f\|^2$. By Plancherel the best bounds are the
# extremes of the Littlewood-Paley sum $\sum_\lambda |\hat g_\lambda(\xi)|^2$. This notebook draws frames, reads their bounds, and repairs one.

# %%
import matplotlib.pyplot as plt
import torch

import scatter_theory as st

# %% [markdown]
# ## One dimension
# Meyer-type wavelets are tight on every grid. `frame.on(grid)` lists the atoms that live there; a half bank keeps one of each conjugate pair,
# which is enough for real signals.

# %%
grid = st.Grid.line(512, sample_rate=512.0, unit="s")
bank = st.frames.Wavelets(J=5, sided="half").on(grid)
bank

# %%
figure, axes = plt.subplots(2, 1, figsize=(8, 6), layout="constrained")
bank.plot(ax=axes[0])
st.plot.LittlewoodPaleyDisplay.from_bank(bank).plot(ax=axes[1])
# %% [markdown]
# Bounds for complex and for real signals are different quantities. The half bank is tight for real signals, and loses half of all complex ones:

# %%
real, plain = bank.bounds(real=True), bank.bounds(real=False)
assert abs(real.A.value - 1) < 1e-12 and abs(real.B.value - 1) < 1e-12
tuple(real), tuple(plain)

# %% [markdown]
# ## A frame that is not tight
# Morlet filters leave gaps. Tightening divides by the root of the Littlewood-Paley sum; the complement adds one atom instead.

# %%
morlet = st.frames.Morlet(J=4, sided="half")
figure, axes = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
for ax, frame in zip(axes, (morlet, morlet.tightened(), morlet.complemented()), strict=True):
    bank = frame.on(grid)
    st.plot.LittlewoodPaleyDisplay.from_bank(bank).plot(ax=ax)
    ax.set_title(f"A = {bank.bounds().A.value:.3g}, B = {bank.bounds().B.value:.3g}")
assert morlet.tightened().on(grid).bounds().tight and morlet.complemented().on(grid).bounds().tight

# %% [markdown]
# ## All families of lines
# Eight families at a small size, the output atom dotted. Four are tight here; what to do with others is shown above.

# %%
line = {
    "wavelets": st.frames.Wavelets(J=3),
    "Weyl-Heisenberg": st.frames.WeylHeisenberg(M=8),
    "Morlet": st.frames.Morlet(J=3),
    "log-Gabor": st.frames.LogGabor(J=3),
    "Mexican hat": st.frames.MexicanHat(J=3),
    "taps of a wavelet": st.frames.Taps("db3", J=3),
    "filters of your own": st.frames.Filters(
        torch.tensor([[-1.0, 1.0, 0.0], [-1.0, 2.0, -1.0]]), output=torch.tensor([0.25, 0.5, 0.25])
    ),
    "learned": st.frames.Learned(n_filters=4, support=5, d=1),
}
figure, axes = plt.subplots(2, 4, figsize=(15, 5), layout="constrained", sharex=True)
for ax, (name, frame) in zip(axes.flat, line.items(), strict=True):
    bank = frame.on(st.Grid.line(128))
    bank.plot(ax=ax)
    ax.set_ylabel("")
    ax.set_title(f"{name}, A = {bank.bounds().A.value:.2g}, B = {bank.bounds().B.value:.3g}")
    if ax.get_legend():
        ax.get_legend().remove()
    assert bank.bounds().tight == (name in ("wavelets", "Weyl-Heisenberg", "taps of a wavelet", "learned"))

# %% [markdown]
# ## Two dimensions
# One engine covers curvelets, cone-adapted shearlets and ridgelets: a radial partition times an angular one. One hue per atom, white for the output atom,
# dark where atoms leave a gap.

# %%
square = st.Grid.square(96)
plane = {
    "radial wavelets": st.frames.Wavelets(J=3),
    "tensor wavelets": st.frames.TensorWavelets(J=2),
    "directional wavelets": st.frames.DirectionalWavelets(J=3, L=4),
    "curvelets": st.frames.Curvelets(J=3, sided="both"),
    "shearlets": st.frames.Shearlets(J=3),
    "ridgelets": st.frames.Ridgelets(J=3),
    "Weyl-Heisenberg": st.frames.WeylHeisenberg(M=6),
    "Morlet": st.frames.Morlet(J=3, L=6),
    "steerable pyramid": st.frames.Steerable(J=3, order=3),
    "Riesz wavelets": st.frames.Riesz(J=3, order=2),
    "log-Gabor": st.frames.LogGabor(J=3),
    "Haar taps": st.frames.Taps("haar", J=2),
}
figure, axes = plt.subplots(3, 4, figsize=(14, 10.5), layout="constrained")
for ax, (name, frame) in zip(axes.flat, plane.items(), strict=True):
    bank = frame.on(square)
    bank.plot(ax=ax)
    ax.set(title=f"{name}: {len(bank)} atoms", xlabel="", ylabel="")
    assert bank.bounds().tight == (name not in ("Morlet", "log-Gabor"))

shown = {type(frame).__name__ for frame in (*line.values(), *plane.values())}
made_from_others = {"Complemented", "Normalised", "Scaled", "Tightened", "Union", "LearnedConv"}
classes = {
    name
    for name in st.frames.__all__
    if isinstance(getattr(st.frames, name), type) and issubclass(getattr(st.frames, name), st.frames.Frame)
}
assert shown == classes - made_from_others - {"Frame"}

# %% [markdown]
# The same atoms in space:

# %%
st.plot.AtomsDisplay.from_bank(plane["curvelets"].on(square)).plot()
# %% [markdown]
# ## The bounds, measured
# `verify.frame` convolves signals with every atom in space and sets the largest and smallest quotient against B and A.

# %%
check = st.verify.frame(morlet, grid, generator=0)
assert check.holds
print(check)

# %% [markdown]
# ## Reconstruction
# The dual bank inverts the analysis on any grid, odd or not square.

# %%
odd = st.Grid.of((31, 45))
bank = st.frames.Curvelets(J=2, sided="both").on(odd)
f = torch.randn(31, 45, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
error = (bank.dual().synthesise(bank.analyse(f)) - f).abs().max() / f.abs().max()
assert error < 1e-12
float(error)
