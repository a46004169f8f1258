"""One layer of a network, and the bank that its frame has there."""

from __future__ import annotations

from dataclasses import dataclass

from scatter_theory.frames import Bank, Frame
from scatter_theory.grid import Grid
from scatter_theory.nonlinearities import Modulus, Nonlinearity
from scatter_theory.poolings import NoPooling, Pooling, Sampling

#: What to write, for an argument that is not what it should be.
_INSTEAD = {
    "frame": "Use one of `scatter_theory.frames`, e.g. `frames.Wavelets(J=4)`; filters of your own: `frames.Filters`.",
    "nonlinearity": "Use e.g. `ReLU()`; a function of your own: `Pointwise(function, lipschitz_constant)`.",
    "pooling": "Use e.g. `Subsample(2)`; a map of your own: `Pool(function, lipschitz_constant)`.",
}


@dataclass(frozen=True)
class Layer:
    """One layer: a frame, a non-linearity and a pooling.

    Parameters
    ----------
    frame : Frame
        Atoms; its output atom emits the features of the layer's *input*.
    nonlinearity : Nonlinearity
    pooling : Pooling

    Raises
    ------
    TypeError
        If an argument is not an instance of its class.
    """

    frame: Frame
    nonlinearity: Nonlinearity = Modulus()
    pooling: Pooling = NoPooling()

    def __post_init__(self) -> None:
        for name, base in (("frame", Frame), ("nonlinearity", Nonlinearity), ("pooling", Pooling)):
            value = getattr(self, name)
            if not isinstance(value, base):
                raise TypeError(
                    f"`Layer({name}=...)`: got {value!r} of type {type(value).__name__}, expected a {base.__name__} "
                    f"instance{' (did you forget the parentheses?)' if isinstance(value, type) else ''}. "
                    f"{_INSTEAD[name]}"
                )

    def normalised(self, sampling: Sampling = "dilate") -> Layer:
        """The layer with its frame scaled so that it is admissible; positive scaling of all atoms alike."""
        return Layer(self.frame.normalised(self.nonlinearity, self.pooling, sampling), self.nonlinearity, self.pooling)

    def keeps_real(self, real: bool, bank: Bank) -> bool:
        """Whether the layer's output is real for every real signal, given whether its input is."""
        return self.nonlinearity.conjugation == "A" or self.pooling.real_output or (real and bank.kind == "real")


def bank_of(layer: Layer, grid: Grid, reference: Grid, real: bool, where: str) -> Bank:
    """Bank of a layer on its grid; a frame with ``sided="auto"`` becomes a half bank where that is exact.

    Parameters
    ----------
    grid, reference : Grid
        Grid of the layer and of the input signals.
    real : bool
        Whether the maps that enter the layer are real for every real signal.
    where : str
        Name of the argument in the error message.

    Raises
    ------
    ValueError
        If the frame is a half bank and the maps are complex.
    """
    half = real and layer.nonlinearity.conjugation == "A"
    bank = layer.frame.on(grid, reference=reference, sided="half" if half else "both", real=real)
    if bank.kind == "half" and not real:
        raise ValueError(
            f"`FeatureExtractor({where})`: {layer.frame!r} is a half bank, but the maps that enter this layer are "
            "complex, so the omitted conjugate partners carry energy of their own. Use sided='both' (or 'auto'); a "
            "half bank is exact after a modulus, or at the first layer for real signals."
        )
    return bank
