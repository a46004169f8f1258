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
# # Binary networks: estimators, two indicators, one trade-off
#
# A binary network uses $\operatorname{sign} z$ and trains z with the derivative of a surrogate f. How far f is from the sign is the *estimating error*; how
# unevenly $f'$ passes gradients is the *(in)stability*. This notebook draws estimators, places them on the trade-off, and measures both numbers while a small network trains.

# %%
import matplotlib.pyplot as plt
import torch
from torch import nn

from scatter_theory import bnn, plot

torch.manual_seed(0);
# %% [markdown]
# ## Estimators
# ReSTE is a power function with an inner threshold m, below which its multiplier is constant, and an outer one t, beyond which it is zero. Three surrogates go with that one multiplier.

# %%
plot.EstimatorsDisplay.from_estimators(
    {c: bnn.ReSTE(o=3, convention=c) for c in ("power", "figure", "antiderivative")}
).plot()
# %% [markdown]
# Others: a clipped straight line, a parabola, a tanh, and the optimum of the trade-off for uniform values, $1 - \sinh(a(1-u))/\sinh a$.

# %%
plot.EstimatorsDisplay.from_estimators(
    {
        "clipped STE": bnn.ClippedSTE(),
        "ApproxSign": bnn.ApproxSign(),
        "EDE, t = 2": bnn.EDE(t=2.0, k=1.0),
        "Pareto, a = 3": bnn.Pareto(3.0),
    }
).plot()
# %% [markdown]
# `binarize` is the operation: the sign forwards, the hand-written multiplier backwards. Nothing is differentiated through a power at zero.

# %%
z = torch.tensor([-2.0, -0.5, 0.0, 0.05, 0.5, 2.0], requires_grad=True)
bnn.binarize(z, bnn.ReSTE(o=3)).sum().backward()
z.grad

# %% [markdown]
# ## The trade-off
# Expected values for a distribution of z, in closed form where there is one, and the same measured through `binarize` on drawn values. On the uniform distribution no estimator that is an
# integral of its multiplier and reaches 1 at 1 can lie below the curve.

# %%
frontier = bnn.frontier(density="uniform")
frontier.plot()
print(frontier)

# %% [markdown]
# ## A network
# Four classes of noisy patterns, a small VGG, weights and activations binary except in the first and the last layer.

# %%
generator = torch.Generator().manual_seed(0)
patterns = torch.randn(4, 1, 16, 16, generator=generator)
labels = torch.randint(0, 4, (256,), generator=generator)
images = patterns[labels] + 2.0 * torch.randn(256, 1, 16, 16, generator=generator)

net = bnn.models.vgg_small(classes=4, channels=1, size=16, width=8, generator=0)
model = bnn.binarize_model(net, bnn.ReSTE(o=3))
list(bnn.binarizers(model))

# %% [markdown]
# Where are the latent weights? Many lie below m, where the multiplier is a constant and ReSTE acts as a straight line with a larger learning rate.

# %%
bnn.latent_histograms(model).plot()
# %%
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
schedule = bnn.schedules.ReSTE(model, o_end=3, epochs=8)
with bnn.Indicators(model, every=4) as indicators:
    for _epoch in range(8):
        for x, y in zip(images.split(32), labels.split(32), strict=True):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        schedule.step()
report = indicators.report()
print(f"loss {loss.item():.3f}")

# %%
report.select("*.weight").plot()
# %%
report.plot(kind="heatmap")
# %% [markdown]
# Reductions are named, because they differ: the sum over layers of variances is not the variance of all entries.

# %%
weights = report.select("*.weight")
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for reduction in ("sum_layer", "pooled", "mean_layer"):
    ax.semilogy(weights.steps, weights.pooled("stability", reduction), label=reduction)
ax.set(xlabel="step", ylabel="var |g| of the weights")
ax.legend();
# %% [markdown]
# And back: the plain layers, with the latent weights as they are now.

# %%
plain = bnn.restore_model(model)
assert not bnn.binarizers(plain)
sum(p.numel() for p in plain.parameters())
