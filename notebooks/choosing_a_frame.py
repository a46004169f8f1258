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
# # Choosing a frame
#
# Which frame gathers the energy of a signal in the fewest paths? For tight frames, the modulus and no pooling the question has an exact form: the
# energies of all features, of what the last layer keeps and of dropped paths add up to $\|f\|^2$, so that the shares of two frames can be compared. Here
# for an electrocardiogram, the texture of a photograph, and cartoons.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

import scatter_theory as st
from scatter_theory import frames, signals

# %% [markdown]
# ## Signals
# Several of each kind, to see whether an answer is about the kind or about one signal: four pieces of an ECG, six of the lawn in the photograph, six
# cartoons that are drawn (discs, one over the other). The mean is removed: every frame puts it into the first path.

# %%
square = st.Grid.square(48)
ecg, lawn = st.data.ecg().windows((256,)), st.data.camera().values[400:496, 20:164]
kinds = {
    "ECG": (ecg.grid, torch.tensor(ecg.values)),
    "texture": (
        square,
        torch.stack([torch.tensor(lawn[i : i + 48, j : j + 48]) for i in (0, 48) for j in (0, 48, 96)]),
    ),
    "cartoons": (square, signals.DeadLeaves(r_min=0.1, discs=12).draw(square, 6, generator=0).on(square)),
}
kinds = {name: (grid, f - f.mean(tuple(range(1, f.ndim)), keepdim=True)) for name, (grid, f) in kinds.items()}
figure, axes = plt.subplots(1, 3, figsize=(11, 2.8), layout="constrained", width_ratios=(1.8, 1, 1))
for ax, (name, (grid, f)) in zip(axes, kinds.items(), strict=True):
    if grid.ndim == 1:
        ax.plot(np.arange(256) * grid.spacing[0], f[0])
        ax.set(xlabel=f"time [{grid.unit}]")
    else:
        ax.imshow(f[0], cmap="gray")
        ax.set_axis_off()
    ax.set_title(f"{name}, the first of {len(f)}")

# %% [markdown]
# ## Frames
# All are tight, or made tight by division by the root of their Littlewood-Paley sum. One of two conjugate atoms is enough for real signals.

# %%
line_frames = {
    "Meyer wavelets": frames.Wavelets(J=5, sided="half"),
    "Weyl-Heisenberg": frames.WeylHeisenberg(M=32, sided="half"),
    "log-Gabor": frames.LogGabor(J=5).tightened(),
    "Morlet": frames.Morlet(J=5, sided="half").tightened(),
    "Daubechies taps": frames.Taps("db8", J=5),
    "Haar taps": frames.Taps("haar", J=5),
}
plane_frames = {
    "radial wavelets": frames.Wavelets(J=3, sided="half"),
    "directional wavelets": frames.DirectionalWavelets(J=3, L=4, sided="half"),
    "tensor wavelets": frames.TensorWavelets(J=3),
    "curvelets": frames.Curvelets(J=3, L0=4, sided="half"),
    "shearlets": frames.Shearlets(J=3, L0=4, sided="half"),
    "ridgelets": frames.Ridgelets(J=3, L0=4, sided="half"),
    "Weyl-Heisenberg": frames.WeylHeisenberg(M=6, sided="half"),
    "steerable pyramid": frames.Steerable(J=3, order=3),
    "Morlet": frames.Morlet(J=3, L=4, sided="half").tightened(),
    "Haar taps": frames.Taps("haar", J=3),
}
choices = {"ECG": line_frames, "texture": plane_frames, "cartoons": plane_frames}

# %% [markdown]
# ## Counting
# Two layers. The path of length 0 holds what the low-pass filter passes; it is one path for every frame, but not the same share. So it is told apart,
# and the *rest*, $\|f\|^2 - \|f*\chi\|^2$, has to be gathered by the longer paths, the strongest first. A count that is not reached within two layers is
# said to be so: then too much is still on its way to deeper layers, or in paths that were dropped.


# %%
def shares(frame, grid, f):
    """Share of the low-pass filter, (n,), and of the longer paths within the rest, strongest first, (n, paths)."""
    layer = st.Layer(frame, st.Modulus())
    phi = st.FeatureExtractor([layer, layer], grid, paths=st.FrequencyDecreasing())
    features = phi(f)
    total = phi.grid.energy(phi.prepare(f))
    books = features.energy() + features.residual_energy + features.pruned
    assert torch.allclose(books, total, rtol=1e-10), "energy is lost or gained"
    paths = (features.energy("path") / total[:, None]).numpy()
    low = paths[:, 0]
    return low, -np.sort(-paths[:, 1:], axis=1) / (1 - low[:, None])


def fewest(strongest, share):
    """Smallest number of paths with that share of the rest, of each signal; infinite if all together have less."""
    enough = strongest.cumsum(1) >= share
    return np.where(enough[:, -1], enough.argmax(1) + 1.0, np.inf)


def told(counts):
    """Median (of two the larger) and range, or how many of the signals reach the share."""
    reached = np.isfinite(counts).sum()
    low, middle, high = (np.sort(counts)[k] for k in (0, len(counts) // 2, -1))
    if reached < len(counts):
        return f"{reached} of {len(counts)} reach it" if reached else "not reached"
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


measured = {kind: {name: shares(frame, *kinds[kind]) for name, frame in choices[kind].items()} for kind in kinds}
for kind, found in measured.items():
    print(f"\n{kind:22}  paths  low-pass   half of the rest   80 % of the rest")
    for name, (low, strongest) in found.items():
        half, most = (told(fewest(strongest, s)) for s in (0.5, 0.8))
        print(f"{name:22} {strongest.shape[1]:6} {low.mean():8.1%} {half:>18} {most:>18}")

# %% [markdown]
# The same as curves, means over the signals of a kind. Where a curve ends, all paths are counted.

# %%
figure, axes = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained", sharey=True)
for ax, (kind, found) in zip(axes, measured.items(), strict=True):
    for k, (name, (_, strongest)) in enumerate(found.items()):
        curve, colour = strongest.cumsum(1).mean(0), plt.get_cmap("cividis")(k / len(found))
        ax.semilogx(np.arange(len(curve)) + 1, curve, marker="os^vDPX<>*"[k], markersize=4, color=colour, label=name)
    ax.axhline(0.8, color="black", linewidth=0.8, linestyle=":")
    ax.set(xlabel="number of paths, the strongest first", title=kind)
    ax.grid(alpha=0.3)
    ax.legend(fontsize=7, loc="lower right")
axes[0].set_ylabel("share of the rest, two layers")
axes[0].set_ylim(0, 1.02)

# %% [markdown]
# ## What may be said, and what not
# * **The ECG** goes to Weyl-Heisenberg atoms, all of one bandwidth, then to Meyer wavelets. With Haar's filters, as tight as these, most windows do not get
#   to 80 % within two layers.
# * **Texture and cartoons** go to directional wavelets with four orientations, among the frames that get to 80 %. Finer angles divide edges and blades
#   of grass among more paths. Without angles (radial wavelets) half of the rest is found as fast as by any, and 80 % is out of reach.


# %%
def typical(kind, name, share=0.8):
    """The median count."""
    counts = fewest(measured[kind][name][1], share)
    return np.sort(counts)[len(counts) // 2]


def ranking(kind):
    return sorted(choices[kind], key=lambda name: typical(kind, name))


assert ranking("ECG")[:2] == ["Weyl-Heisenberg", "Meyer wavelets"] and np.isinf(typical("ECG", "Haar taps"))
for kind in ("texture", "cartoons"):
    assert ranking(kind)[0] == "directional wavelets"
    assert np.isinf(typical(kind, "radial wavelets"))
    assert typical(kind, "radial wavelets", 0.5) == min(typical(kind, name, 0.5) for name in plane_frames)

# %% [markdown]
# Before such a table decides anything:
#
# **The low-pass can win by itself.** If the path of length 0 counted, the coarsest network would be best. With one octave nearly everything passes the
# low-pass filter, and a single path holds 90 % of an ECG. That is no description of it.

# %%
for J in (1, 3, 5):
    low, _ = shares(frames.Wavelets(J=J, sided="half"), *kinds["ECG"])
    print(f"{J} octaves: the path of length 0 has {low.min():.1%} to {low.max():.1%} of the energy")
    assert J > 1 or low.min() > 0.9

# %% [markdown]
# **A path is not a number.** Each is a map with as many samples as the signal. Curvelets and shearlets are known for approximating cartoons by few
# *coefficients*, which is another count: here is the share of the samples of layer 1 that holds 80 % of their energy.

# %%
sparse = {}
for kind in ("texture", "cartoons"):
    grid, f = kinds[kind]
    print(f"\n{kind}")
    for name in ("radial wavelets", "directional wavelets", "curvelets", "shearlets"):
        maps = plane_frames[name].on(grid).analyse(f)[:, 1:]
        energy = -np.sort(-(maps.abs() ** 2).flatten(1).numpy(), axis=1)
        share = ((energy.cumsum(1) < 0.8 * energy.sum(1, keepdims=True)).sum(1) / energy.shape[1]).mean()
        sparse[kind, name] = share
        print(f"{name:22} {share:6.1%} of {energy.shape[1]} samples")
    assert sparse[kind, "shearlets"] < sparse[kind, "directional wavelets"]

# %% [markdown]
# By that count the order of the two is the other way round. It too has its catch: maps of narrow filters could do with fewer samples, and that share
# is of more samples where there are more maps.
#
# **Energy is not information.** That features hold energy says that little is lost, not that classes differ in them. And four pieces of one ECG, six of
# one lawn are few; repeat it with signals of yours.
