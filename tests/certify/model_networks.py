"""Networks for the tests of certificates, and oracles that do not use them."""

import torch
from torch import nn


def jacobian(function, shape, at=None):
    """Dense matrix of torch's own derivative, float64."""
    x = torch.zeros(1, *shape, dtype=torch.float64) if at is None else at
    matrix = torch.autograd.functional.jacobian(function, x)
    return matrix.reshape(-1, x.numel())


def norm(function, shape, at=None):
    """Largest singular value of the derivative."""
    return float(torch.linalg.svdvals(jacobian(function, shape, at))[0])


class Call(nn.Module):
    """A network whose forward pass is a function of its layers and the input."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.function = forward
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.eval()

    def forward(self, x):
        return self.function(self, x)


class Pitch(nn.Module):
    """CREPE tiny with any sizes: pad, convolution, ReLU, batch normalisation, pooling; then one linear layer."""

    def __init__(self, channels=(1, 128, 16, 16, 16, 32, 64), first=512, size=64, features=256, classes=360):
        super().__init__()
        self.pads = ((first // 2 - 2,) * 2, (size // 2 - 1, size // 2))
        self.depth = len(channels) - 1
        for k in range(1, self.depth + 1):
            width, stride = (first, 4) if k == 1 else (size, 1)
            setattr(self, f"conv{k}", nn.Conv1d(channels[k - 1], channels[k], width, stride))
            setattr(self, f"conv{k}_BN", nn.BatchNorm1d(channels[k], eps=0.001))
        self.classifier = nn.Linear(features, classes)

    def forward(self, frames):
        x = frames[:, None]
        for k in range(1, self.depth + 1):
            x = nn.functional.pad(x, self.pads[0] if k == 1 else self.pads[1])
            x = torch.relu(getattr(self, f"conv{k}")(x))
            x = nn.functional.max_pool1d(getattr(self, f"conv{k}_BN")(x), 2)
        return torch.sigmoid(self.classifier(x.transpose(1, 2).flatten(1)))


def with_statistics(model, seed=0):
    """Evaluation mode, with statistics and factors of batch normalisation that differ by channel."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            shape = module.running_var.shape
            module.running_mean.copy_(torch.randn(shape, generator=generator))
            module.running_var.copy_(0.2 + 2 * torch.rand(shape, generator=generator))
            module.weight.data.copy_(torch.randn(shape, generator=generator))
            module.bias.data.copy_(torch.randn(shape, generator=generator))
    return model.eval()


def seeded(build, seed=0):
    """A model with weights of this seed; torch's stream of random numbers is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return with_statistics(build(), seed)


def small_cnn():
    """Every usual kind of layer of an image classifier."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(4, 6, 3, stride=2, groups=2),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(6, 5),
    )
