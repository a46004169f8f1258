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
# # Your own network
#
# Any torch model goes through the three wings of the toolkit as it is: a Lipschitz constant between two numbers that are both certain, its dead neurons,
# and, once it is made binary, the two indicators of its gradients. Put your model, the shape of a sample and your data into the next two cells; the rest
# stays.

# %%
from copy import deepcopy

import torch
from torch import nn

from scatter_theory import bnn, certify, pruning

torch.manual_seed(0);


# %%
class Residual(nn.Module):
    """A residual block, to have a graph that is no chain."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return torch.relu(x + self.second(torch.relu(self.norm(self.first(x)))))


def make():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        Residual(8),
        nn.MaxPool2d(2),
        Residual(8),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(72, 16),
        nn.ReLU(),
        nn.Linear(16, 3),
    )


shape = (1, 12, 12)
patterns = torch.randn(3, *shape)
labels = torch.arange(240) % 3
images = patterns[labels] + 1.5 * torch.randn(240, *shape)
loader = list(zip(images[:192].split(32), labels[:192].split(32), strict=True))
unseen, truth = images[192:], labels[192:]


# %%
def train(model, epochs=6):
    """A training loop like any other."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model.eval()


@torch.no_grad()
def accuracy(model):
    return (model(unseen).argmax(1) == truth).double().mean().item()


model = train(make())
print(f"{accuracy(model):.0%} of the unseen images")
assert accuracy(model) > 0.9

# %% [markdown]
# ## How far can it move?
# No two inputs are moved apart by more than `upper`, and `pair` is moved apart by `lower`. Nodes are read from the graph, residual sums included; a node
# without a constant would stop it with its name.

# %%
certificate = certify.torch_model(model, shape, starts=2, steps=10, points=unseen[:8])
print(certificate)
assert certificate.lower <= certificate.upper and not certificate.contradictions
assert certificate.recheck(model)
certificate.plot()
# %% [markdown]
# What that is good for: an image whose two largest outputs differ by $m$ keeps its class under every perturbation shorter than $m/(\sqrt2\,\mathrm{upper})$.
# The radii are certain, and small: upper bounds of whole networks are crude.

# %%
with torch.no_grad():
    top = model(unseen).topk(2).values
radius = (top[:, 0] - top[:, 1]) / (2**0.5 * certificate.upper)
pushed = unseen + 0.999 * radius[:, None, None, None] * nn.functional.normalize(torch.randn(48, 144)).reshape(
    48, *shape
)
with torch.no_grad():
    assert (model(pushed).argmax(1) == model(unseen).argmax(1)).all()
print(
    f"certified radius: median {radius.median():.4f}, where images have the norm {unseen.flatten(1).norm(dim=1).median():.1f}"
)

# %% [markdown]
# ## What does not fire?
# Every call of a ReLU is a site, whether it is a module or a function. `total` is the share of unit and image where it is not above 0; `static` the share of
# units that depend on no input.

# %%
dead = pruning.dead_neurons(model, [unseen], expect_sites=6)  # it raises if one is missed
print(dead)
assert (dead.rate("static") == 0).all()
assert 0 < dead.rate("total", "pooled") < 1
dead.plot()
# %% [markdown]
# After pruning 90 % of the weights some units have none left, and the two kinds of death are told apart. The certificate of what is left is made from the
# weights that are used.

# %%
pruned = deepcopy(model)
masks = pruning.prune(pruned, pruning.Magnitude(), sparsity=0.9)
after = pruning.dead_neurons(pruned, [unseen])
small = certify.torch_model(pruned, shape, starts=2, steps=10)
for name, found, bound in (("dense", dead, certificate), ("pruned", after, small)):
    rates = ", ".join(f"{kind} {found.rate(kind, 'pooled'):.3f}" for kind in ("total", "static", "dynamic"))
    print(f"{name:7} {rates}; constant between {bound.lower:.2f} and {bound.upper:.2f}")
assert masks.alive == masks.size - round(0.9 * masks.size)
total, static, dynamic = (after.rate(kind, "pooled") for kind in ("total", "static", "dynamic"))
assert abs(total - static - dynamic) < 1e-12

# %% [markdown]
# ## And as a binary network?
# `binarize_model` swaps layers for binary ones, except the first and the last. This model needs a thought first: what enters its layers comes from a ReLU or
# a pooling of one, is nowhere negative, and has the sign 1 wherever it is not 0 (and, by convention, there). Binary *activations* would know nothing of
# the image. So weights only; a network with normalisation in front of its layers would take both.
#
# The indicators follow the training: how far the surrogate is from the sign (estimating error), and how uneven the gradients are (stability, a variance:
# large is unstable).

# %%
start = make()
binary, blind = (bnn.binarize_model(start, bnn.ReSTE(o=3), activations=kept) for kept in (False, True))
with bnn.Indicators(binary, every=6) as indicators:
    train(binary, epochs=12)
train(blind, epochs=2)
print(
    f"binary weights: {accuracy(binary):.0%} of the unseen images; activations too: {accuracy(blind):.0%}, one class of three"
)
assert accuracy(binary) > 0.8 and accuracy(blind) == 1 / 3
assert len(blind(unseen).argmax(1).unique()) == 1

report = indicators.report()
assert set(report.sites) == set(bnn.binarizers(binary)) and len(report.sites) == 5
report.plot()
