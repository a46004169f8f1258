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
# # Energy decay
#
# $W_n(f) = \sum_{|q|=n}\|U[q]f\|^2$ is the energy that is still on its way at layer n; what has left is in the features. How fast does it fall, and how
# many layers are worth computing? Here for wavelets, whose bands widen with frequency, and for equal bands as in a Weyl-Heisenberg frame: measured, and
# beside what theory promises.

# %%
from dataclasses import dataclass
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch

import scatter_theory as st
from scatter_theory import theory
from scatter_theory.frames._profiles import Profile, assemble, members_from_profiles
from scatter_theory.frames._steps import telescope

# %% [markdown]
# ## Two frames with the same gap
# The theorem asks for one-sided filters and a gap: no propagating filter below a frequency $\delta$. The lowest channel of `frames.WeylHeisenberg` begins at
# 0 and has none. With the channels moved by half of their distance R, so that the lowest is $[R/2, 5R/2]$, there is one. A tight frame is a list of squared
# profiles that sum to one, which makes this one short:


# %%
@dataclass(frozen=True)
class EqualBands(st.frames.Frame):
    """Bands ``[R/2 + kR, 5R/2 + kR]``, k = 0, 1, ..., and a low-pass filter that is 1 up to R/2; R in cycles per sample."""

    R: float = 1 / 24
    tight = True

    @classmethod
    def example(cls, d):
        return cls()

    def on(self, grid, *, reference=None, sided=None, real=False):
        unit = (reference or grid).spacing
        top = 0.5 * unit[0] / grid.spacing[0]
        cuts = list(pairwise(np.arange(self.R / 2, top, self.R)))

        def power(xi, k):
            band = telescope(xi.radius, cuts, "meyer")[k]
            return band * (xi.xi[0] > 0) if k else band

        profiles = [
            Profile(f"k={k}", lambda xi, k=k: power(xi, k), (k * self.R,), paired=k > 0) for k in range(len(cuts) + 1)
        ]
        low, *bands = members_from_profiles(profiles, grid, unit, overlap=0.0)
        return assemble(grid, unit, low.amplitude, bands, sided or "half", repr(self))


line = st.Grid.line(256)
chosen = {"wavelets": st.frames.Wavelets(J=4, sided="half"), "equal bands": EqualBands()}
networks, figure = {}, plt.figure(figsize=(10, 5.6), layout="constrained")
for ax, (name, frame) in zip(figure.subplots(2, 1), chosen.items(), strict=True):
    bank = frame.on(line)
    assert bank.bounds().tight
    bank.plot(ax=ax)
    ax.set_title(f"{name}: {len(bank)} atoms")
    ax.set_xlim(-0.1, 0.5)
    networks[name] = st.FeatureExtractor([st.Layer(frame, st.Modulus())] * 3, line)

# %% [markdown]
# ## Measured against the rate
# For such filters $W_n(f) \le \int|\hat f|^2\big(1-\hat r(\xi/(\delta a^{n-1}))^2\big)$ with $\hat r(x) = (1-|x|)_+$: every layer shifts a low-pass filter
# upwards by the factor a, 5/3 for octaves and 3/2 for these equal bands. The search looks for signals that come closest. All paths are followed, none are
# dropped.

# %%
effort = st.verify.Effort(2, 12, 0, 0)
checks = {name: st.verify.energy(phi, form="rate", effort=effort, generator=0) for name, phi in networks.items()}
ideal = {"wavelets": theory.wavelet_decay_rate(2.0), "equal bands": theory.weyl_heisenberg_decay_rate(0.5, 1.0)}
for name, check in checks.items():
    a, gap = check.constants["a"], check.constants["delta"]
    print(
        f"{name}: gap {gap.value:g} bins, a = {a.value:.3f} on this grid, {ideal[name]:.3f} without one; {check.outcome.name}"
    )
    assert check.holds and a.value >= ideal[name]

# %% [markdown]
# The rate holds, and is far from what is found. A bound by duality (see the notebook on sharper bounds) knows more: the maps of layer 1 are moduli, which
# are not negative, and of those a layer cannot pass on more than the share $\lambda$ that its certificate proves, for every signal. How fast an ECG and
# noise decay, beside both:

# %%
ecg = torch.tensor(st.data.ecg().windows((256,)).values)
noise = torch.randn(4, 256, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
signals = {"ECG": ecg - ecg.mean(1, keepdim=True), "noise": noise}
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", sharey=True)
for ax, (name, phi) in zip(axes, networks.items(), strict=True):
    two = st.FeatureExtractor(phi.layers[:2], line)  # all layers have the same frame, and with it the same share
    decay = st.verify.decay(two, effort=st.verify.Effort(1, 4, 0, 0), generator=0)
    assert decay.holds and decay.recheck(two)
    n, share = np.arange(1, 4), decay.bound[0]
    certified = share ** (n - 1)
    print(f"{name}: layer 2 passes on at most {share:.4f} of what it gets; the most found is {decay.measured[0]:.4f}")
    ax.semilogy(n, checks[name].bound, "k--", marker="_", label="rate, for the worst signal found")
    ax.semilogy(n, certified, "-", color="#0072B2", label="certified, for every signal")
    ax.semilogy(n, checks[name].measured, "o", color="#D55E00", label="worst signal found")
    for (kind, f), look in zip(signals.items(), ("s:", "^:"), strict=True):
        features = phi(f)
        W = torch.stack([W / features.remainder[0] for W in features.remainder[1:]]).numpy()
        assert (W <= certified[:, None] + 1e-9).all()
        ax.semilogy(
            n, W.mean(1), look, color={"ECG": "#009E73", "noise": "#555555"}[kind], label=f"{kind}, mean of {len(f)}"
        )
    ax.set(xlabel="layer n", title=name)
    ax.set_xticks(n)
    ax.grid(alpha=0.3)
axes[0].set_ylabel(r"$W_n(f)\,/\,\|f\|^2$")
axes[1].legend(loc="lower left");
# %% [markdown]
# ## How many layers?
# `theory.layers_needed` solves the rate for n: how many layers surely hold a share of the energy of every signal that is band-limited to L. First with
# $L = \delta$, then up to the Nyquist frequency; beside it what the signals of this notebook need, the worst ones found included.

# %%
shares = (0.5, 0.75, 0.9, 0.95, 0.99)
rows = {}
for name, check in checks.items():
    gap, left = check.constants["delta"].value, 1 - np.array(shares)
    rows[f"{name}, L = gap"] = [theory.layers_needed(s, rate=ideal[name], m=1.0001) for s in shares]
    rows[f"{name}, L = Nyquist"] = [theory.layers_needed(s, L=128, delta=gap, rate=ideal[name]) for s in shares]
    # Layers 0 to N leave W_(N+1), the entry N of `measured`.
    found = [np.flatnonzero(check.measured <= rest) for rest in left]
    rows[f"{name}, worst found"] = [int(N[0]) if len(N) else "> 2" for N in found]
rows["any gap, L = gap"] = [theory.layers_needed(s, rate=None, m=1.0001) for s in shares]
print(f"{'layers that hold':28}" + "".join(f"{s:>7.0%}" for s in shares))
for name, row in rows.items():
    print(f"{name:28}" + "".join(f"{N:>7}" for N in row))
assert rows["wavelets, worst found"][:4] == [1, 2, 2, 2] and set(rows["equal bands, worst found"]) == {1}
for name in networks:
    assert all(
        N == "> 2" or N < needed
        for N, needed in zip(rows[f"{name}, worst found"], rows[f"{name}, L = Nyquist"], strict=True)
    )

# %% [markdown]
# One or two layers hold what theory gives to ten or twenty. Both are true, for different questions: on the line there are signals whose energy decays
# as slowly as one likes, of ever higher frequency; a grid has a highest one, and what a search finds are not all signals. The rows $L = \delta$ are the
# starkest case. A signal without frequencies beyond the gap passes the low-pass filter whole, so that layer 0 alone has all of it, and the rate does not
# see that:

# %%
generator = torch.Generator().manual_seed(1)
bins = np.abs(np.fft.fftfreq(256) * 256)
for name, phi in networks.items():
    gap = checks[name].constants["delta"].value
    spectrum = torch.fft.fft(torch.randn(4, 256, generator=generator, dtype=torch.float64)) * torch.tensor(bins < gap)
    features = phi(torch.fft.ifft(spectrum).real)
    left = float((features.remainder[1] / features.remainder[0]).max())
    print(f"{name}: {left:.0e} of the energy is propagated at all")
    assert left < 1e-25
