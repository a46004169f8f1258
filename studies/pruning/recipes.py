"""The released recipe of Activate-while-Pruning for ResNet-20 on CIFAR-10, as a frozen preset with its defects mended.

From the released script (Liu, Ghosh, Tan and Motani 2022): 25 cycles, the first one of which is dense; each takes 20 %
of the weights alive, 18 % by the modulus over the whole network and 2 % by the selection; 50 epochs per training with
batches of 64, momentum 0.9, weight decay 5e-4; the rate rises by 5e-6 per step and falls to 0.01 in epoch 25 and 0.001
in epoch 32, counted from 0. The rise would reach 0.1 after 20,000 steps, which are more than those of 25 epochs.

What is done otherwise, as the script cannot finish or does not do what is said there:

* weights are rewound to those of the beginning of the run, which the script offers but does not choose, and biases,
  normalisation and its running statistics with them; in the script, biases are not restored, and statistics neither;
* a pruned weight stays 0 whatever the optimiser does, and each training has an optimiser of its own;
* only weights of convolutions and of the last layer are pruned, not the scales of the normalisation; each weight is
  counted once, and the numbers taken are exact;
* one training per cycle. The script trains twice between two prunings, from the same weights with the same masks, and
  prunes after the second of the two;
* initial weights are normal with variance 2/fan-in;
* test images are not augmented, and all 10,000 are counted; sparsities are those of the training they stand beside.

No accuracies are quoted here, and none were measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from scatter_theory import bnn
from scatter_theory.seeds import Seed
from studies.pruning.training import Recipe


@dataclass(frozen=True)
class Preset:
    """How a network is trained and pruned.

    Parameters
    ----------
    recipe : Recipe
        Of each training.
    cycles : int
        Number of trainings, the first one of which is dense.
    rate : float
        Share of the weights alive that each cycle takes.
    share : float
        The part of it that the selection takes.
    """

    recipe: Recipe
    cycles: int
    rate: float
    share: float

    def model(self, *, generator: Seed = None) -> nn.Module:
        """ResNet-20 with ReLUs after the normalisation, and strided convolutions as shortcuts; fresh weights."""
        return bnn.models.resnet20(order="bn_relu", projection="conv", generator=generator)


PAPER = Preset(
    Recipe(
        epochs=50,
        batch=64,
        lr=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        decay="published",
        augmentation="crop_and_flip",
    ),
    cycles=25,
    rate=0.2,
    share=0.02,
)
