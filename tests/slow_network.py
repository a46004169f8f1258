"""A second implementation of the network, from the definitions: numpy, explicit loops, DFT by dense matrices.

It shares no code with the package: the tests hand it the spectra of the atoms and compare every map.
"""

from dataclasses import dataclass

import numpy as np
import torch

from scatter_theory.frames import Atom, Bank, Frame


@dataclass(frozen=True)
class Given(Frame):
    """Frame of given spectra, for one shape of grid; `hermitian` makes every atom real."""

    shape: tuple
    n_atoms: int
    seed: int = 0
    kind: str = "full"
    sided = "both"

    @classmethod
    def example(cls, d):
        return cls((4,) * d, 2)

    def on(self, grid, *, reference=None, sided=None, real=False):
        assert grid.shape == self.shape
        rng = np.random.default_rng(self.seed)
        taps = rng.standard_normal((self.n_atoms + 1, *self.shape))
        if self.kind == "full":
            taps = taps + 1j * rng.standard_normal(taps.shape)
        spectra = torch.fft.fftn(torch.tensor(taps), dim=tuple(range(1, grid.ndim + 1))) / grid.size**0.5
        atoms = tuple(Atom(f"{i}", float(i), (0.0,) * grid.ndim) for i in range(self.n_atoms))
        return Bank(grid, atoms, spectra[1:], spectra[0], self.kind, "given")


def dft_matrix(shape):
    """Dense DFT matrix of the flattened grid."""
    matrix = np.ones((1, 1))
    for n in shape:
        k = np.arange(n)
        matrix = np.kron(matrix, np.exp(-2j * np.pi * np.outer(k, k) / n))
    return matrix


def convolve(u, spectrum):
    """``u * g`` by dense matrices."""
    F = dft_matrix(u.shape)
    return (F.conj().T @ (np.ravel(spectrum) * (F @ np.ravel(u)))).reshape(u.shape) / u.size


def split(r):
    """A real function of real and imaginary part."""
    return lambda z: r(z.real) + 1j * r(z.imag)


NONLINEARITIES = {
    "modulus": lambda z: np.sqrt(z.real**2 + z.imag**2),
    "relu": split(lambda x: np.where(x > 0, x, 0.0)),
    "tanh": split(lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x))),
    "sigmoid": split(lambda x: 1 / (1 + np.exp(-x)) - 0.5),
    "soft": split(lambda x: np.where(x > 0.1, x - 0.1, np.where(x < -0.1, x + 0.1, 0.0))),
    "leaky": split(lambda x: np.where(x > 0, x, 0.01 * x)),
    "identity": lambda z: z,
}


def pool(u, reduce, S, W, sampling):
    """``S^(d/2) (P u)(S .)`` (dilate, unit sample positions) or every S-th value of P u (decimate), by loops."""
    step = 1 if sampling == "dilate" else S
    out = np.zeros([n // step for n in u.shape], dtype=complex)
    for m in np.ndindex(*out.shape):
        window = [
            u[tuple((i * step + k) % n for i, k, n in zip(m, offset, u.shape, strict=True))]
            for offset in np.ndindex(*(W,) * u.ndim)
        ]
        out[m] = {"first": window[0], "mean": sum(window) / len(window), "max": max(map(abs, window))}[reduce]
    return out * (S ** (u.ndim / 2) if sampling == "dilate" else 1.0)


def network(f, layers, final, sampling):
    """All maps: ``{path: (U[q]f, (U[q]f) * chi)}``.

    `layers`: one (output spectrum, atom spectra, name of the non-linearity, (reduction, S, W)) per layer.
    """
    nodes, level = {}, {(): np.asarray(f)}
    for output, atoms, name, (reduce, S, W) in layers:
        following = {}
        for path, u in level.items():
            nodes[path] = (u, convolve(u, output))
            for index, g in enumerate(atoms):
                v = NONLINEARITIES[name](convolve(u, g) + 0j)
                following[(*path, index)] = pool(v, reduce, S, W, sampling)
        level = following
    nodes |= {path: (u, convolve(u, final)) for path, u in level.items()}
    return nodes
