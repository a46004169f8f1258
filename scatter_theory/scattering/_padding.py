"""Extension of signals beyond their borders before a periodic convolution."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import pad

#: How torch names what we call ...
_TORCH = {"reflect": "reflect", "zero": "constant", "constant": "replicate"}
#: All ways to extend a signal; periodic signals need no samples added.
MODES = (*_TORCH, "periodic")


@dataclass(frozen=True)
class Padding:
    """Samples added before and after each axis.

    Parameters
    ----------
    mode : {"reflect", "zero", "constant", "periodic"}
        ``"reflect"``: mirrored about the first and the last sample, which are not repeated (as kymatio does);
        ``"zero"``: zeros; ``"constant"``: the first and the last sample, repeated; ``"periodic"``: nothing is added.
    amounts : tuple of (before, after)
        One pair per axis.
    """

    mode: str
    amounts: tuple[tuple[int, int], ...]

    def __call__(self, x: Tensor) -> Tensor:
        """``(batch, *shape) -> (batch, *padded)``; differentiable, on the device of x."""
        left = [list(pair) for pair in self.amounts]
        while any(map(any, left)):
            # A mirror image has at most n - 1 new samples; the image of the extended signal continues it.
            most = [n - 1 if self.mode == "reflect" else max(pair) for n, pair in zip(x.shape[1:], left, strict=True)]
            step = [[min(a, m) for a in pair] for pair, m in zip(left, most, strict=True)]
            flat = [a for pair in reversed(step) for a in pair]
            x = pad(x.unsqueeze(1), flat, mode=_TORCH[self.mode]).squeeze(1)
            left = [[a - s for a, s in zip(pair, one, strict=True)] for pair, one in zip(left, step, strict=True)]
        return x
