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
# # The feature extractor
#
# Every layer has a frame, a Lipschitz non-linearity and a pooling; they may differ from layer to layer. Here they do, on a real
# electrocardiogram.

# %%
import matplotlib.pyplot as plt
import numpy as np

import scatter_theory as st

signal = st.data.ecg()
print(signal.description)
grid, f = signal.grid, signal.values

# %%
layers = [
    st.Layer(st.frames.Wavelets(J=5), st.Modulus(), st.Subsample(2)),
    st.Layer(st.frames.WeylHeisenberg(M=16), st.Modulus(), st.Average(2)),
]
phi = st.FeatureExtractor(layers, grid, paths=st.FrequencyDecreasing())
print(phi.describe())
print(phi.plan(batch=8))

# %%
features = phi(f)
features

# %%
features.plot();

# %% [markdown]
# ## Where the energy goes
# With Parseval frames, the modulus and pooling without loss, energy is conserved exactly: what is not emitted is propagated. Paths that a rule
# drops are booked.

# %%
tight = st.Layer(st.frames.Wavelets(J=5), st.Modulus(), st.Subsample(2))
phi = st.FeatureExtractor([tight] * 3, grid, paths=st.FrequencyDecreasing())
features = phi(f)
total = phi.grid.energy(phi.prepare(f))
books = features.energy() + features.residual_energy + features.pruned
assert abs(float(books / total) - 1) < 1e-12
st.plot.EnergyDisplay.from_features(features).plot();

# %% [markdown]
# ## Admissibility
# Frames with upper bound above 1 make a network that may expand distances. The certified constant says by how much; `normalised` mends it.

# %%
raw = st.Layer(st.frames.MexicanHat(J=4), st.Modulus(), st.Subsample(2))
for layer in (raw, raw.normalised()):
    network = st.FeatureExtractor([layer, layer], grid, paths=st.FrequencyDecreasing())
    print(f"max{{B, B L^2 R^2}} = {network.admissibility()[0].value:.4f}, Lipschitz constant <= {network.certified_lipschitz().value:.4f}")

# %% [markdown]
# ## Selecting features

# %%
layer_two = features.select(n=2)
deep = np.sqrt(layer_two.energy("path").numpy())
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
ax.bar(range(deep.size), deep.ravel())
ax.set_xlabel("path of length 2, in lexicographic order")
ax.set_ylabel("norm")
strongest = layer_two.paths[int(deep.argmax())]
strongest
