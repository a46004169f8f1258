# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Learned frames and trained networks
#
# Filters that training moves, with frame bounds that it cannot move out of a stated range; and networks that somebody has trained, bounded afterwards.

# %%
import math
from copy import deepcopy
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import scatter_theory as st
from scatter_theory import certify

generator = torch.Generator().manual_seed(0)
grid = st.Grid.square(12)

# %% [markdown]
# ## A small task
# Four patterns without mean, each moved to a random place on the torus, in noise. A linear classifier of the pixels cannot do it: averaged over all places, every class is zero.

# %%
patterns = torch.randn(4, 12, 12, generator=generator, dtype=torch.float64)
patterns -= patterns.mean((1, 2), keepdim=True)


def sample(n):
    labels = torch.randint(0, 4, (n,), generator=generator)
    places = torch.randint(0, 12, (n, 2), generator=generator).tolist()
    moved = [torch.roll(patterns[k], place, (0, 1)) for k, place in zip(labels, places, strict=True)]
    return torch.stack(moved) + 0.7 * torch.randn(n, 12, 12, generator=generator, dtype=torch.float64), labels


(images, labels), (test_images, test_labels) = sample(384), sample(1024)
figure, axes = plt.subplots(1, 8, figsize=(9, 1.4), layout="constrained")
for ax, image, label in zip(axes, images, labels, strict=False):
    ax.imshow(image, cmap="gray")
    ax.set_title(f"class {label}", fontsize=8)
    ax.set_axis_off()

# %% [markdown]
# ## Four ways to parametrise filters
# Three with a guarantee: `canonical` and `paraunitary` are tight for all weights, `range` keeps $1/2 \le A \le B \le 1$. The fourth has none: the taps themselves are the weights. They start as those of `paraunitary`, hence tight.


# %%
class Taps(nn.Module):
    def __init__(self, taps):
        super().__init__()
        self.taps = nn.Parameter(taps.detach().clone())


@dataclass(frozen=True, repr=False, eq=False)
class Unconstrained(st.frames.Frame):
    """Filters of any taps: every entry is a weight."""

    module: Taps
    dims, sided, tight = (2,), "real", False

    @classmethod
    def example(cls, d):
        return cls(Taps(torch.ones((2,) + (1,) * d)))

    def on(self, grid, *, reference=None, sided=None, real=False):
        taps = self.module.taps
        bank = st.frames.Filters(taps[1:], output=taps[0]).on(grid)
        names = [
            replace(a, label=f"filter {k}", scale=math.nan, centre=(math.nan,) * 2) for k, a in enumerate(bank.atoms)
        ]
        return replace(bank, atoms=tuple(names))


def frame(form, n_filters, seed):
    if form == "unconstrained":
        return Unconstrained(Taps(frame("paraunitary", n_filters, seed).module.taps()))
    return st.frames.Learned(n_filters, support=3, d=2, parametrisation=form, A=0.5, B=1.0, seed=seed)


class Classifier(nn.Module):
    """Two layers of the extractor, means of all features over the torus, and a linear head."""

    def __init__(self, form, seed):
        super().__init__()
        first = st.Layer(frame(form, 6, 2 * seed), st.ReLU(), st.Average(2))
        second = st.Layer(frame(form, 3, 2 * seed + 1), st.ReLU())
        self.phi = st.FeatureExtractor([first, second], grid)
        features = self.features(images).detach()
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("deviation", features.std(0))
        torch.manual_seed(0)
        self.head = nn.Linear(features.shape[1], 4, dtype=torch.float64)

    def features(self, x):
        return torch.cat([layer.values.mean((-2, -1)).flatten(1) for layer in self.phi(x)], 1)

    def forward(self, x):
        return self.head((self.features(x) - self.mean) / self.deviation)


def train(model, x, y, rate, epochs, after=lambda: None, factor=1.0):
    """Adam on batches of 32, on logits times `factor`; `after` is called after every step."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=rate)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=order).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(factor * model(x[batch]), y[batch]).backward()
            optimizer.step()
            after()
    return model.eval()


@torch.no_grad()
def accuracy(model, x=test_images):
    return (model(x).argmax(1) == test_labels).double().mean().item()


# %% [markdown]
# ## Bounds after every step
# All are trained alike. The frame bounds of both layers are taken after every step: those of the learned frames never leave their range (grey), with nothing to call after a step; those of the unconstrained taps do at once.

# %%
ranges = {"canonical": (1.0, 1.0), "range": (0.5, 1.0), "paraunitary": (1.0, 1.0), "unconstrained": None}
fine = st.Grid.square(60)  # for pictures of the frequency plane
trained, tilings, bounds = {}, {}, {}
for form, kept in ranges.items():
    model, history = Classifier(form, seed=0), []

    def record(model=model, history=history):
        history.append([tuple(bank.bounds()) for bank in model.phi.banks[:2]])

    record()
    tilings[form] = [model.phi.layers[0].frame.on(fine)]
    trained[form] = train(model, images, labels, 0.01, 8, record)
    tilings[form].append(model.phi.layers[0].frame.on(fine))
    bounds[form] = np.array(history)  # step, layer, (A, B)
    if kept:
        assert (bounds[form][..., 0] > kept[0] - 1e-12).all() and (bounds[form][..., 1] < kept[1] + 1e-12).all()

figure, axes = plt.subplots(1, 4, figsize=(11, 2.8), sharey=True, layout="constrained")
for ax, (form, found) in zip(axes, bounds.items(), strict=True):
    if form == "range":
        ax.axhspan(*ranges[form], color="0.88", linewidth=0)
    for n, style in enumerate(("-", "--")):
        ax.plot(found[:, n, 1], style, color="C0", label=f"B, layer {n + 1}")
        ax.plot(found[:, n, 0], style, color="C1", label=f"A, layer {n + 1}")
    ax.set(title=form, xlabel="step")
axes[0].set(ylabel="frame bounds", ylim=(0, 1.05 * max(found.max() for found in bounds.values())))
axes[0].legend(fontsize=8);

# %% [markdown]
# The bounds of the unconstrained taps by another way, as those of a convolution of torch, exact on the torus. They agree.

# %%
free = trained["unconstrained"].phi
conv = nn.Conv2d(1, 7, 3, padding=1, padding_mode="circular", bias=False, dtype=torch.float64)
conv.weight = nn.Parameter(free.layers[0].frame.module.taps[:, None].detach())
measured = certify.conv_bounds(conv, grid.shape)
assert np.allclose([measured.A.value, measured.B.value], bounds["unconstrained"][-1, 0], rtol=1e-10)
print(measured)

# %% [markdown]
# ## Tilings before and after
# Every pixel of the frequency plane mixes the hues of the filters that are large there; white is the output filter. Above before, below after training. Bounds are those of this finer grid, on which the same weights keep the same range.

# %%
figure, axes = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
for column, form in zip(axes.T, ("canonical", "range", "paraunitary"), strict=True):
    for ax, bank, when in zip(column, tilings[form], ("before", "after"), strict=True):
        bank.plot(ax=ax)
        A, B = bank.bounds()
        assert ranges[form][0] - 1e-12 < A <= B < ranges[form][1] + 1e-12
        ax.set_title(f"{form}, {when}\nA = {A:.4g}, B = {B:.4g}", fontsize=9)

# %% [markdown]
# ## Accuracy
# Two seeds of the weights each; the test images alone leave every number uncertain by 0.01 to 0.03. With *frozen* frames only the head is trained. A toy task with one learning rate ranks nothing: the forms start from different filters, and
# larger steps hurt the unconstrained taps most (not shown).


# %%
def linear(x, x_test):
    """Accuracy of a linear head alone."""
    torch.manual_seed(0)
    return accuracy(train(nn.Linear(x.shape[1], 4, dtype=torch.float64), x, labels, 0.01, 8), x_test)


@torch.no_grad()
def frozen(form, seed):
    model = Classifier(form, seed)
    return [(model.features(x) - model.mean) / model.deviation for x in (images, test_images)]


rows = {
    form: [accuracy(model), accuracy(train(Classifier(form, 1), images, labels, 0.01, 8))]
    for form, model in trained.items()
}
for form in ("canonical", "range", "paraunitary"):
    rows[f"{form}, frozen"] = [linear(*frozen(form, seed)) for seed in (0, 1)]
rows["linear, of the pixels"] = [linear(images.flatten(1), test_images.flatten(1))]
for name, values in rows.items():
    print(f"{name:22}", "  ".join(f"{value:.3f}" for value in values))

# %% [markdown]
# ## Invariance of what was learned
# The trained extractor is admissible, so that translation bounds hold, on test images and on signals that a search finds. Shown is the form that uses the spectrum of the output filter: on so small a grid that of the theorem is above
# a trivial limit. For the unconstrained one the hypotheses of the theorem fail, and the check says that it does not apply.

# %%
effort = st.verify.Effort(random=8, structured=16, steps=10, restarts=1)
shifts = [(2, 0), (4, 0), (6, 0)]
check = st.verify.translation(
    trained["range"].phi, test_images[:8], shifts=shifts, bound="multiplier", effort=effort, generator=0
)
assert check.holds
check.plot()
unbounded = st.verify.translation(free, test_images[:8], shifts=shifts, effort=effort, generator=0)
assert bounds["unconstrained"][-1, :, 1].max() > 1 and unbounded.outcome is st.Outcome.INAPPLICABLE
print(unbounded.outcome)

# %% [markdown]
# ## A trained CNN, bounded afterwards
# An ordinary network for the same task, in float32. Its Lipschitz constant over all inputs lies between what two inputs attain and the bound composed from exact constants of its nodes.

# %%
signals, test_signals = images[:, None].float(), test_images[:, None].float()
ring = {"padding": 1, "padding_mode": "circular"}
torch.manual_seed(0)
plain = nn.Sequential(
    nn.Conv2d(1, 8, 3, **ring), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2, **ring), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4),
)  # fmt: skip
train(plain, signals, labels, 0.01, 40)
certificate = certify.torch_model(plain, (1, 12, 12), starts=2, steps=20)
assert certificate.lower <= certificate.upper and not certificate.contradictions
print(certificate)

# %%
certificate.plot()

# %% [markdown]
# Now its weights are scaled: each convolution and the head are divided by their norms. ReLU lets positive factors through, so that with the biases divided accordingly all logits are divided by the product of the norms. Nothing is left in
# the bound but the mean over 36 places, whose norm is 1/6.

# %%
WEIGHTED = {0: (12, 12), 2: (12, 12), 6: ()}  # modules with weights, and the grids of their inputs


@torch.no_grad()
def rescaled(model):
    model, product = deepcopy(model), 1.0
    for k, shape in WEIGHTED.items():
        norm = certify.conv_bounds(model[k], shape).lipschitz.value
        product *= norm
        model[k].weight /= norm
        model[k].bias /= product
    return model, product


@torch.no_grad()
def limit(model):
    for k, shape in WEIGHTED.items():
        model[k].weight /= max(1.0, (1 + 1e-6) * certify.conv_bounds(model[k], shape).lipschitz.value)


scaled, product = rescaled(plain)
assert torch.allclose(product * scaled(test_signals), plain(test_signals), rtol=1e-3, atol=1e-3)
certificate = certify.torch_model(scaled, (1, 12, 12), starts=2, steps=20)
assert certificate.upper <= (1 + 1e-5) / 6
certificate.plot()

# %% [markdown]
# A small constant alone is worth nothing: here the logits have shrunk with it. The margin m of an image, largest logit minus the next, against the bound L decides: no change of norm below $m / (\sqrt 2 L)$ changes the class. Scaling leaves
# this radius as it was. Two networks are trained on, one freely, the other with norms that are brought back to 1 whenever they exceed it. Radii are 0 for images that are classified wrongly.

# %%
networks = {
    "plain": plain,
    "scaled": scaled,
    "plain, trained on": deepcopy(plain),
    "scaled, trained on": deepcopy(scaled),
}
train(networks["plain, trained on"], signals, labels, 0.003, 20)
within = networks["scaled, trained on"]
train(within, signals, labels, 0.003, 20, lambda: limit(within), factor=product / 2)
radii = {}
for name, model in networks.items():
    found = certify.torch_model(model, (1, 12, 12), starts=2, steps=20)
    logits = model(test_signals).detach().double()
    top, right = logits.topk(2).values, logits.argmax(1) == test_labels
    radii[name] = (right * (top[:, 0] - top[:, 1]) / (math.sqrt(2) * found.upper)).median().item()
    if name.startswith("scaled"):
        assert found.upper <= (1 + 1e-5) / 6
    accurate = right.double().mean().item()
    print(f"{name:19} L in [{found.lower:.3f}, {found.upper:.3f}]   accuracy {accurate:.3f}   radius {radii[name]:.4f}")
assert math.isclose(radii["plain"], radii["scaled"], rel_tol=1e-3)

# %% [markdown]
# Radii are small beside the noise, whose norm is about 8.4: bounds that are products of norms are crude. One run on a toy task does not say whether scaling pays.
#
# ## One layer at all frequencies
# The second convolution keeps every second sample, so that $2 \times 2$ frequencies of the input meet at each frequency of the output: a matrix with 12 rows and 32 columns, with at most 12 singular values that are not zero. Hence A = 0,
# and B is the largest square.

# %%
values = certify.conv_singular_values(plain[2], (48, 48))[:, :, 0]
measured = certify.conv_bounds(plain[2], (48, 48))
assert math.isclose(values.max().item() ** 2, measured.B.value, rel_tol=1e-9) and measured.A.value <= measured.A.error
figure, axes = plt.subplots(1, 3, figsize=(10, 2.9), layout="constrained")
low, high = -0.5 - 0.5 / 24, 0.5 - 0.5 / 24  # frequency 0 is the centre of a pixel
for ax, k, name in zip(axes, (0, 1, -1), ("largest", "second", "twelfth"), strict=True):
    image = ax.imshow(torch.fft.fftshift(values[..., k]), extent=(low, high, low, high), origin="lower")
    figure.colorbar(image, ax=ax)
    ax.set(title=f"{name} singular value", xlabel="cycles per output sample")
print(measured)

# %% [markdown]
# From one grid to all: bounds from 24 x 24 samples that hold on the torus of every size, for the first convolution, compared with the exact ones of some sizes.

# %%
every = certify.conv_bounds(plain[0], (24, 24)).all_grids()
sizes = range(4, 41, 2)
found = [certify.conv_bounds(plain[0], (n, n)) for n in sizes]
assert all(every.A.value <= b.A.value <= b.B.value <= every.B.value for b in found)
figure, axes = plt.subplots(2, 1, figsize=(5.5, 4), sharex=True, layout="constrained")
for ax, key in zip(axes, "BA", strict=True):
    ax.plot(sizes, [getattr(b, key).value for b in found], "o", label="exact, one grid")
    ax.axhline(getattr(every, key).value, color="C1", label="bound for all grids")
    ax.set_ylabel(key)
axes[0].legend()
axes[1].set_xlabel("samples per axis")

# %% [markdown]
# ## Strides and covariance
# How far the maps before the mean miss moving along with the input. The same trained weights with a stride, with the mean of 2 x 2 samples before every second one is kept, and with a longer average. At multiples of the stride all move
# along exactly. In between, averaging helps and does not cure.


# %%
def averaged(*taps):
    """The maps of the plain network with stride 1, an average over the torus, and then the stride."""
    full = nn.Conv2d(8, 12, 3, padding=1, padding_mode="circular")
    full.load_state_dict(plain[2].state_dict())
    kernel = torch.outer(torch.tensor(taps), torch.tensor(taps))
    low = nn.Conv2d(12, 12, len(taps), stride=2, groups=12, bias=False)
    low.weight = nn.Parameter((kernel / kernel.sum()).expand(12, 1, -1, -1).clone())
    return nn.Sequential(*plain[:2], full, nn.ReLU(), nn.CircularPad2d((0, len(taps) - 1) * 2), low).eval()


maps = {
    "stride": plain[:4].eval(),
    "mean of 2 x 2": averaged(1.0, 1.0),
    "average of 5 x 5": averaged(1.0, 4.0, 6.0, 4.0, 1.0),
}
shifts = [(t, 0) for t in range(1, 7)]
defects = {name: certify.covariance_defect(net, test_signals[:64], shifts=shifts) for name, net in maps.items()}
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for k, (name, found) in enumerate(defects.items()):
    assert found.whole < 1e-5  # float32
    ax.plot(range(1, 7), found.defects, "os^"[k] + "-", label=name)
    print(f"{name}: {found}")
ax.set(xlabel="shift in samples", ylabel="defect, relative to the output", ylim=(0, None))
figure.legend(loc="outside upper center", ncols=3, frameon=False);
