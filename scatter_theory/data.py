"""Real signals that are already on this machine: an electrocardiogram, a photograph and three textures.

They are files of the installed packages PyWavelets and scikit-image; nothing is ever downloaded. A recording of your
own takes the place of the first two through `path`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scatter_theory.grid import Grid, is_whole

#: Sampling rate that is assumed for the electrocardiogram: PyWavelets states none.
ECG_RATE = 360.0
#: What the textures show.
TEXTURES = {"brick": "a brick wall", "grass": "grass", "gravel": "gravel"}
Texture = Literal["brick", "grass", "gravel"]


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples with their grid and their origin.

    Parameters
    ----------
    name : str
        Short name for tables.
    values : (*batch, *grid.shape) array
        float64, read-only.
    grid : Grid
    description : str
        What the samples are, where they come from, and what was assumed or done to them.

    Raises
    ------
    ValueError
        If the values do not fit the grid.
    """

    name: str
    values: np.ndarray
    grid: Grid
    description: str

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.shape[values.ndim - self.grid.ndim :] != self.grid.shape:
            raise ValueError(
                f"`Recording(values=...)`: got shape {values.shape}, expected (*batch, {self.grid.shape})."
            )
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def binned(self, factor: int) -> Recording:
        """Means over blocks of `factor` samples per axis, on the coarser grid; the shape must be divisible.

        Raises ValueError for a factor that is no whole number or does not divide the shape.
        """
        shape = self.grid.shape
        if not is_whole(factor) or factor < 1 or any(n % int(factor) for n in shape):
            raise ValueError(f"`binned(factor=...)`: got {factor!r}, expected a whole number that divides {shape}.")
        k, d = int(factor), len(shape)
        split = self.values.reshape(
            *self.values.shape[: self.values.ndim - d], *(p for n in shape for p in (n // k, k))
        )
        grid = Grid(tuple(n // k for n in shape), tuple(h * k for h in self.grid.spacing), self.grid.unit)
        note = f"{self.description} Means over blocks of {' x '.join([str(k)] * d)} samples."
        return Recording(self.name, split.mean(axis=tuple(range(-1, -2 * d, -2))), grid, note)

    def windows(self, shape: Sequence[int]) -> Recording:
        """All windows of that shape, side by side, as a batch ``(n, *shape)``; the remainder is dropped.

        Raises ValueError for a window that is longer than the recording, or has another number of axes.
        """
        shape, whole = tuple(shape), self.grid.shape
        if len(shape) != len(whole) or any(
            not is_whole(m) or not 1 <= m <= n for m, n in zip(shape, whole, strict=True)
        ):
            raise ValueError(f"`windows(shape=...)`: got {shape}, expected one length per axis, each at most {whole}.")
        d = len(whole)
        kept = self.values[(..., *(slice(0, n // m * m) for m, n in zip(shape, whole, strict=True)))]
        split = kept.reshape(-1, *(p for m, n in zip(shape, whole, strict=True) for p in (n // m, m)))
        order = (0, *range(1, 2 * d, 2), *range(2, 2 * d + 1, 2))
        grid = Grid(shape, self.grid.spacing, self.grid.unit)
        windows = split.transpose(order).reshape(-1, *shape)
        note = f"{self.description} {len(windows)} windows of {' x '.join(map(str, shape))} samples, side by side."
        return Recording(self.name, windows, grid, note)


def ecg(path: str | Path | None = None) -> Recording:
    """An electrocardiogram: 1024 samples, three heart beats, in the unit of the recorder.

    Parameters
    ----------
    path : str or Path, optional
        A ``.npy`` file with a one-dimensional array of samples at 360 Hz, used instead.

    Returns
    -------
    Recording
        float64.

    Raises
    ------
    FileNotFoundError
        If PyWavelets does not carry the file, or `path` does not exist.

    Examples
    --------
    >>> ecg().grid
    Grid(shape=(1024,), spacing=(0.0027777777777777779,), unit='s')
    """
    if path is not None:
        values, origin = _of_rank("ecg", load(path), 1), f"Electrocardiogram from {Path(path).name}."
    else:
        values, version = _from_pywavelets("ecg")
        origin = (
            f"Electrocardiogram of 1024 samples that PyWavelets {version} carries as `pywt.data.ecg`: the local "
            "stand-in for a clinical recording. PyWavelets names neither its source nor its sampling rate."
        )
    grid = Grid.line(len(values), sample_rate=ECG_RATE, unit="s")
    return Recording("ECG", values, grid, f"{origin} {ECG_RATE:g} samples per second are assumed.")


def camera(path: str | Path | None = None) -> Recording:
    """A photograph: 512 x 512 grey values from 0 to 255.

    Parameters
    ----------
    path : str or Path, optional
        A ``.npy`` file with a two-dimensional array of grey values, used instead.

    Returns
    -------
    Recording
        float64.

    Raises
    ------
    FileNotFoundError
        If PyWavelets does not carry the file, or `path` does not exist.

    Examples
    --------
    >>> camera().binned(16).grid
    Grid(shape=(32, 32), spacing=(16.0, 16.0), unit='pixel')
    """
    if path is not None:
        values, origin = _of_rank("camera", load(path), 2), f"Photograph from {Path(path).name}."
    else:
        values, version = _from_pywavelets("camera")
        origin = (
            f"Photograph of a camera man, 512 x 512 grey values, that PyWavelets {version} carries as "
            "`pywt.data.camera` (CC0 by the photographer, Lav Varshney): the local stand-in for natural images."
        )
    return Recording("camera", values, Grid.of(values.shape, unit="pixel"), origin)


def texture(name: Texture) -> Recording:
    """A photograph of one texture: 512 x 512 grey values from 0 to 255.

    Parameters
    ----------
    name : {"brick", "grass", "gravel"}
        Which one.

    Returns
    -------
    Recording
        float64.

    Raises
    ------
    ValueError
        If there is no such texture.
    FileNotFoundError
        If scikit-image is missing, or does not carry the file.

    Notes
    -----
    scikit-image documents all three as dedicated to the public under CC0: bricks and gravel from CC0Textures, rectified
    or scaled before they were cropped, and grass from DeviantArt.

    Examples
    --------
    >>> texture("brick").windows((32, 32)).values.shape
    (256, 32, 32)
    """
    if name not in tuple(TEXTURES):
        raise ValueError(f"`texture(name=...)`: got {name!r}, expected one of {', '.join(map(repr, TEXTURES))}.")
    try:
        import skimage
        import skimage.io

        # Not through `skimage.data`, which may fetch what it does not find.
        values = skimage.io.imread(Path(skimage.__file__).parent / "data" / f"{name}.png")
    except (ImportError, OSError) as error:
        raise FileNotFoundError(
            f"`texture({name!r})`: scikit-image, which carries this photograph, is missing or incomplete ({error}). "
            "Install it with `pip install scikit-image`."
        ) from error
    origin = (
        f"Photograph of {TEXTURES[name]}, 512 x 512 grey values, that scikit-image {skimage.__version__} carries as "
        f"`skimage.data.{name}` (CC0 by its documentation)."
    )
    return Recording(name, values, Grid.of(values.shape, unit="pixel"), origin)


def load(path: str | Path) -> np.ndarray:
    """Array of a ``.npy`` file, in float64, or complex128 where it is complex.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    array
        In the shape in which it was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a ``.npy`` file of numbers.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(
            f"`load(path=...)`: there is no file {str(path)!r}. Nothing is downloaded; give a local file."
        )
    try:
        values: Any = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"`load(path=...)`: {file.name} is not a .npy file of numbers ({error}).") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biufc":
        raise ValueError(f"`load(path=...)`: {file.name} holds {type(values).__name__}, expected one array of numbers.")
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)


def _of_rank(owner: str, values: np.ndarray, d: int) -> np.ndarray:
    if values.ndim != d or np.iscomplexobj(values):
        kind = "complex" if np.iscomplexobj(values) else "real"
        raise ValueError(
            f"`{owner}(path=...)`: got a {kind} array of shape {values.shape}, expected real and {d}-dimensional."
        )
    return values


def _from_pywavelets(name: str) -> tuple[np.ndarray, str]:
    """An array from the data folder of PyWavelets, and its version."""
    try:
        import pywt
        import pywt.data

        return np.asarray(getattr(pywt.data, name)(), dtype=np.float64), pywt.__version__
    except (ImportError, AttributeError, OSError) as error:
        raise FileNotFoundError(
            f"`{name}()`: PyWavelets, which carries this recording, is missing or incomplete ({error}). Install "
            f"it with `pip install PyWavelets`, or give a file of your own: `{name}(path='recording.npy')`."
        ) from error
