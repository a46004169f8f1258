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
# # Sharper bounds
#
# The published theorems see a network through its Lipschitz constants alone. Here is what can be proven from more: that a modulus leaves nothing
# negative, that filters nearly commute with gentle deformations, and that one given signal is not the worst of its class. Constants that a solver found
# come with certificates: numbers from which the proof is read off again without it.

# %%
import dataclasses
import json
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

import scatter_theory as st
from scatter_theory import certify, deform, signals, verify

line = st.Grid.line(128)


def network(depth=2, frame=None, nonlinearity=None, grid=line):
    """Tight Meyer wavelets and the modulus, no pooling."""
    layer = st.Layer(frame or st.frames.Wavelets(J=4), nonlinearity or st.Modulus())
    return st.FeatureExtractor([layer] * depth, grid, paths=st.FrequencyDecreasing())


phi = network()

# %% [markdown]
# ## Translations
# A translation by t moves layer n by at most $\sup_\xi|e^{-2\pi it\xi}-1||\hat\chi_n(\xi)|\,\|U\|$. The supremum asks for maps U that oscillate, and from
# layer 1 on the maps are moduli. For $u \ge 0$ it is too large by a factor c. Every point is the worst signal that a search could find; the multiplier and
# a-posteriori bounds are those of that one signal, the others hold for all.
#
# **How large is c?** Let $M = |e^{-2\pi it\xi}-1|^2|\hat\chi|^2$ have its maximum at $\xi_0$. A half-wave $\max(0,\cos 2\pi\xi_0x)$ has half of its energy
# at $\pm\xi_0$, so $c \ge 1/\sqrt2$. If moreover $M(\xi) \le \sup M\,\sin^2(\pi\xi/(2\xi_0))$ for all $\xi$, then $c = 1/\sqrt2$, because
# $\mathrm{Re}\langle u, T_xu\rangle \ge 0$ for the one shift $x = 1/(2\xi_0)$. A low-pass that falls within an octave satisfies this at all
# frequencies of the line; on a grid, where $1/(2\xi_0)$ need not be whole, c is a little larger. A Gaussian does not satisfy it: its tail needs more
# shifts.

# %%
effort = verify.Effort(random=8, structured=32, steps=20, restarts=2)
check = verify.translation(phi, shifts=[1, 2, 4, 8], bound="sharp", effort=effort, generator=0)
assert check.holds and check.recheck(phi)
comparison = check.compare()
layer_1 = np.array(comparison.series) == "layer 1"
reached = {name: float(share[layer_1].max()) for name, share in comparison.tightness.items()}
print(f"layer 1: {reached['bound']:.3f} of the sharp bound reached, {reached['published bound']:.3f} of the published one")
assert reached["bound"] > 0.97 and reached["published bound"] < 0.71
comparison.plot();

# %%
profiles = {
    "Meyer wavelets": certify.one_shift(st.frames.Wavelets(J=4), 1),
    "Gaussian": certify.one_shift(certify.Falling(lambda w: np.exp(-((32 * w) ** 2)), 0.5), 1),
}
figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", sharey=True)
for ax, (name, proof) in zip(axes, profiles.items(), strict=True):
    assert proof.recheck()
    multiplier = lambda w, power=proof.profile.power: 4 * np.sin(math.pi * w) ** 2 * power(w)  # noqa: E731
    c = certify.positivity_certificate(multiplier(np.abs(np.fft.fftfreq(1024)))).c
    w = np.linspace(0, 0.1, 2001)
    M, limit = multiplier(w), np.sin(math.pi * w * proof.shift) ** 2
    M = M / M.max()
    ax.plot(w, M, label=r"$M\,/\,\sup M$")
    ax.plot(w, limit, "--", label=r"$\sin^2(\pi\xi/(2\xi_0))$")
    ax.fill_between(w, limit, M, where=M > limit, color="#D55E00", alpha=0.6, label="criterion violated")
    ax.set(xlabel="frequency [cycles per sample]", title=f"{name}: {proof.verdict}\nc = {c:.4f} on 1024 samples")
    ax.grid(alpha=0.3)
axes[0].set_ylabel("share of the maximum")
axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
assert [proof.verdict for proof in profiles.values()] == ["proven", "refuted"]

# %% [markdown]
# ## Energy, and a Lipschitz constant that is known
# The same duality bounds the share of the energy that a layer passes on, $W_{n+1} \le \lambda W_n$, **for every signal**, where Getter's rate needs the length
# of the signal and forgets it slowly.
#
# Is the Lipschitz constant 1 of layer 2 too large as well? No. Two tones with the same carrier and envelopes of different depths,
# $e^{2\pi i\xi x}(1+s\cos 2\pi\eta x)$, pass the first modulus as $1 + s\cos$ and the second as constants, and nothing is lost. The search knows them, and
# the constant is *exact*.

# %%
lengths = (64, 128, 256, 512, 1024)
shares = {"certified, all signals": [], "best signal found": [], "Getter's rate": []}
for N in lengths:
    decay = verify.decay(network(grid=st.Grid.line(N)), effort=verify.Effort(8, 32, 0, 0), generator=0)
    assert decay.holds
    (certificate,) = decay.certificates
    shares["certified, all signals"].append(certificate.proof.value)
    shares["best signal found"].append(certificate.proof.lower)
    shares["Getter's rate"].append(float(decay.compare().bounds["Getter's bound"][0]))
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
for (name, values), look in zip(shares.items(), ("o-", "k.", "s--"), strict=True):
    ax.semilogx(lengths, values, look, label=name)
ax.set(xlabel="samples", ylabel=r"share passed on, $W_2/W_1$", title="Energy that layer 2 receives")
ax.set_xticks(lengths, [str(N) for N in lengths])
ax.minorticks_off()
ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
ax.grid(alpha=0.3)

lipschitz = verify.lipschitz(phi, effort=verify.Effort(4, 16, 0, 0), generator=0)
exact = {name: constant for name, constant in lipschitz.constants.items() if name.startswith("exact")}
for name, constant in exact.items():
    print(f"{name}: {constant}")
assert math.isclose(exact["exact, layer 2"].value, 1.0, rel_tol=1e-9)

# %% [markdown]
# ## Deformations: what the network itself says
# The class bound $2\pi\,g(D)\,R\,\sup|\tau|\,\|f\|$ is a bound of the input, and pays for every frequency up to R. But pointwise non-linearities
# commute with deformations, so that only two things change the features: the low-passes see the displacement, and filters do not commute with it. A
# recursion over the layers adds both, *in squares*, for one given $\tau$ and without a band limit. Here $\tau$ is one slow wave.
#
# First the size: points are what a search over signals found, lower values of the suprema. Then **the band limit** (left): the class bound grows with
# R, the network bound settles above the low-pass, which ends at 0.04. For small R, or steep displacements, the class bound is the smaller one; both are
# true. **Depth** (right, with tanh, so that neither bound knows of positivity): commutators of N layers add like $\sqrt N$, by the triangle inequality
# they add like N.


# %%
def wave(mode, sup):
    """sup cos(2 pi mode x / L)."""
    return deform.sinusoid((mode,), (sup,), math.pi / 2, line.extent)


sizes = [0.5, 4.0]
moved = verify.deformation(
    phi,
    signals.BandLimited(0.25),
    bound="network",
    family=wave(1, 1.0),
    sup_tau=sizes,
    effort=verify.Effort(random=8, structured=32, steps=30, restarts=2),
    generator=0,
)
assert moved.holds and len(moved.certificates) == len(sizes)
print(f"share reached at sup |tau| = {', '.join(f'{t:g}' for t in moved.x)} samples:")
for name, share in moved.compare().tightness.items():
    print(f"{'network bound' if name == 'bound' else name:<30}", "  ".join(f"{value:.3f}" for value in share))
figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
moved.compare().plot(ax=ax)
ax.set(title="a wave of mode 1", ylabel=r"distance of the features / $\|f\|$");

# %%
radii = (0.03, 0.06, 0.125, 0.25, 0.35, 0.45)
by_band = {mode: [certify.network_bound(phi, wave(mode, 1.0), R, positive=False) for R in radii] for mode in (1, 4)}
assert all(bound.certified for bounds in by_band.values() for bound in bounds)
assert by_band[1][-1].value < 1.1 * by_band[1][2].value
depths = (1, 2, 3, 4, 6, 8)
deep = [network(n, nonlinearity=st.Tanh()) for n in depths]
by_depth = [certify.network_bound(net, wave(1, 1.0)).value for net in deep]
telescoped = [certify.covariance_bound(net, wave(1, 1.0)).telescoped for net in deep]
assert by_depth[-1] < 0.5 * telescoped[-1]

figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 3.9), layout="constrained")
for mode, colour in ((1, "#0072B2"), (4, "#D55E00")):
    D = 2 * math.pi * mode / 128
    class_bound = [2 * math.pi * st.theory.gradient_bound(1.0, D, R) for R in radii]
    left.plot(radii, class_bound, "--", color=colour, label=f"class bound, mode {mode}")
    left.plot(radii, [bound.value for bound in by_band[mode]], "o-", color=colour, label=f"network bound, mode {mode}")
left.set(
    xlabel="band limit R [cycles per sample]", ylabel=r"bound for $\|f\| = 1$", title="sup |tau| = 1 sample, two layers"
)
right.plot(depths, telescoped, "k^:", label="layer by layer, triangle inequality")
right.plot(depths, by_depth, "o-", color="#0072B2", label="network bound")
right.set(
    xlabel="layers N",
    ylabel=r"bound for $\|f\| = 1$",
    title="mode 1, sup |tau| = 1 sample, all signals",
    ylim=(0, None),
)
for ax in (left, right):
    ax.legend(frameon=False)
    ax.grid(alpha=0.3)

# %% [markdown]
# ## One signal
# For a given signal no class is needed. **All displacements of a size**: $\|F_\tau f - f\| \le \|\sup_{|s|\le t}|f(\cdot-s)-f|\|$, and some $\tau$ attains
# it. **A family of few parameters**: the worst change of the *features* is enclosed from both sides, by boxes of parameters that are halved until the
# two ends meet.

# %%
ecg, camera = st.data.ecg().binned(8), st.data.camera().binned(16)
heart, picture = (torch.tensor(data.values - data.values.mean()) for data in (ecg, camera))
line_phi = network(grid=ecg.grid)
image_phi = network(frame=st.frames.DirectionalWavelets(J=2, L=4), grid=camera.grid)
step = ecg.grid.spacing[0]
print(certify.oscillation(heart, ecg.grid, step / 2))
shifts, degrees = (0.25, 0.5, 1, 2, 4), (1, 2, 4, 8)
beats = [st.certify_deformation(line_phi, heart, deform.Translations(), sup_tau=s * step) for s in shifts]
turns = [st.certify_deformation(image_phi, picture, deform.rotations(max_angle=math.radians(a))) for a in degrees]
print(turns[2])
figure, axes = plt.subplots(1, 2, figsize=(11.5, 4.4), layout="constrained", sharey=True)
panels = (
    (shifts, beats, "ECG: translations up to [samples]"),
    (degrees, turns, "photograph: rotations up to [degrees]"),
)
for ax, (x, certificates, label) in zip(axes, panels, strict=True):
    assert all(certificate.closed for certificate in certificates)
    low, high = np.transpose([certificate.relative for certificate in certificates])
    ax.plot(
        x,
        [c.oscillation / c.norm for c in certificates],
        "s--",
        color="#E69F00",
        label="any displacement of that size, at most",
    )
    ax.plot(x, high, "v", color="#0072B2", label="the family moves the features at most")
    ax.plot(x, low, "^", color="#D55E00", label="and at least", fillstyle="none", markersize=9)
    ax.set(xlabel=label, xscale="log", yscale="log")
    ax.set_xticks(x, [f"{v:g}" for v in x])
    ax.minorticks_off()
    ax.grid(alpha=0.3)
axes[0].set_ylabel(r"distance / $\|f\|$")
axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False);

# %% [markdown]
# ## Evidence
# A certificate is a small table of numbers. Stored and read again it proves its value anew, for the network it speaks about; with a smaller value, other
# numbers, or another network it proves nothing.

# %%
stored = json.dumps(by_band[1][3].to_dict())
again = certify.certificate_from_dict(json.loads(stored))
turned = turns[2]
family = st.certify.FamilyCertificate.from_dict(json.loads(json.dumps(turned.to_dict())))
verdicts = {
    "network bound, as stored": again.recheck(phi),
    "network bound, 1 % smaller": dataclasses.replace(again, value=0.99 * again.value).recheck(phi),
    "network bound, other numbers b": dataclasses.replace(again, b=tuple(0.5 * b for b in again.b)).recheck(phi),
    "network bound, other network": again.recheck(network(frame=st.frames.Wavelets(J=3))),
    "rotations, as stored": family.recheck(image_phi, picture),
    "rotations, upper end 5 % smaller": dataclasses.replace(family, upper=0.95 * family.upper).recheck(
        image_phi, picture
    ),
    "rotations, other signal": family.recheck(image_phi, picture.flip(0)),
}
print(f"network bound: {len(stored)} bytes")
for name, verdict in verdicts.items():
    print(f"{name}: {'proven again' if verdict else 'rejected'}")
assert [name for name, verdict in verdicts.items() if verdict] == ["network bound, as stored", "rotations, as stored"]
