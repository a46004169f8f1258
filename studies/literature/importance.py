"""Part b: which layers a forest uses, for centred and for displaced images.

Haar wavelets of three levels, modulus, mean pooling by 2 x 2 in layers 2 and 3, layers 0 to 3, only paths whose scale
does not fall, all outputs. Random forests are fitted to images of Fashion-MNIST as they are, and to the same images on
36 x 36 pixels, each moved by up to four pixels in both directions.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import scatter_theory as st
from studies.literature.images import Images, extracted, fashion
from studies.literature.jobs import Found, Job
from studies.shared.summary import spread, table_lines

LEVELS, DEPTH = 3, 3
#: Largest displacement, in pixels.
REACH = 4
KINDS = ("centred", "displaced")
#: Share of the features among which a node of a tree chooses.
CANDIDATES = 0.33


@dataclass(frozen=True)
class Size:
    """Training and test images, and trees."""

    train: int
    test: int
    trees: int
    seed: int = 0


FULL = Size(train=800, test=1_000, trees=10)
QUICK = Size(train=40, test=40, trees=2)


@dataclass(frozen=True)
class Row:
    """The Gini importance of one layer.

    Parameters
    ----------
    images : str
    layer, features : int
    features_share : float
        Of all features.
    importance, standard_error : float
        Sum over the features of the layer; mean over trees.
    error : float
        Test error of the forest, in per cent.
    """

    images: str
    layer: int
    features: int
    features_share: float
    importance: float
    standard_error: float
    error: float


def network(side: int) -> st.FeatureExtractor:
    """The network of this part on images of this side."""
    frame = st.frames.Taps("haar", J=LEVELS)
    poolings = (st.NoPooling(), st.Average(2), st.Average(2))
    every = itertools.product(range(3 * LEVELS), repeat=DEPTH)
    paths = [q for q in every if all(b // 3 >= a // 3 for a, b in itertools.pairwise(q))]
    layers = [st.Layer(frame, st.Modulus(), pooling) for pooling in poolings]
    rule = st.FixedPaths(paths)
    return st.FeatureExtractor(layers, st.Grid.square(side), paths=rule, sampling="decimate", engine="fast")


def displaced(images: Tensor, generator: torch.Generator) -> Tensor:
    """Images in a frame of `REACH` black pixels, each moved by up to that many in both directions."""
    padded = torch.nn.functional.pad(images, (REACH,) * 4)
    shifts = torch.randint(-REACH, REACH + 1, (len(images), 2), generator=generator).tolist()
    return torch.stack([torch.roll(x, s, (0, 1)) for x, s in zip(padded, shifts, strict=True)])


def measure(kind: str, size: Size, data: Images) -> list[dict[str, Any]]:
    """One row per layer."""
    from sklearn.ensemble import RandomForestClassifier

    generator = torch.Generator().manual_seed(size.seed)
    images = displaced(data.images, generator) if kind == "displaced" else data.images
    phi = network(images.shape[-1])
    widths = [layer.values[0].numel() for layer in phi(images[:1])]
    features = extracted(lambda x: phi(x).flatten(), images).numpy()
    labels, n = data.labels.numpy(), data.train
    forest = RandomForestClassifier(size.trees, max_features=CANDIDATES, random_state=size.seed)
    forest.fit(features[:n], labels[:n])
    error = 100 * float(np.mean(forest.predict(features[n:]) != labels[n:]))
    ends = np.cumsum([0, *widths])
    rows = []
    for layer, width in enumerate(widths):
        part = slice(ends[layer], ends[layer + 1])
        mean, standard_error = spread([float(tree.feature_importances_[part].sum()) for tree in forest.estimators_])
        rows.append(asdict(Row(kind, layer, width, width / ends[-1].item(), mean, standard_error, error)))
    return rows


def jobs(size: Size, folder: Path) -> list[Job]:
    """Centred and displaced."""
    data = fashion(folder, size.train, size.test)
    return [Job("b", kind, {"images": kind, **asdict(size)}, partial(measure, kind, size, data)) for kind in KINDS]


def rows(found: Found) -> list[Row]:
    """All layers."""
    return [Row(**row) for table in found.values() for row in table]


def tables(found: Found) -> dict[str, list[Any]]:
    """Tables by the names of their files."""
    return {"b_importance": rows(found)}


def markdown(found: Found) -> str:
    """Importance, layer by layer."""
    head = ["images", *(f"layer {n}" for n in range(DEPTH + 1)), "test error, %"]
    body = [
        [kind, *(f"{r.importance:.3f} +- {r.standard_error:.3f}" for r in rows({kind: t})), f"{t[0]['error']:.2f}"]
        for kind, t in found.items()
    ]
    share = ["share of the features", *(f"{r.features_share:.3f}" for r in rows(found)[: DEPTH + 1]), ""]
    return "\n".join(table_lines(head, [*body, share])) + "\n"


def draw(found: Found, path: Path) -> None:
    """Importance by layer, with the share of the features that the layer has."""
    import matplotlib.pyplot as plt

    from scatter_theory.plot import house_style

    with house_style():
        figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
        for k, kind in enumerate(found):
            table = rows({kind: found[kind]})
            x = [r.layer + 0.36 * (k - 0.5) for r in table]
            errors = [r.standard_error for r in table]
            ax.bar(x, [r.importance for r in table], 0.34, yerr=errors, label=kind, hatch=("", "//")[k])
            ax.plot(x, [r.features_share for r in table], "k_", ms=14, label="share of the features" if not k else None)
        ax.set_xticks(range(DEPTH + 1))
        ax.set_xlabel("layer")
        ax.set_ylabel("importance")
        ax.legend(fontsize=8)
        figure.savefig(path, dpi=110)
        plt.close(figure)
