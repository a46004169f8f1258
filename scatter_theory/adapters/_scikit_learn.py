"""Extractors as transformers of scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from scatter_theory.adapters._rows import Extractor, Rows
from scatter_theory.scattering import Scattering1D, Scattering2D

OWNER = "ScatteringTransformer"
#: Parameters of the transform that is made where no extractor is given.
PARAMETERS = ("shape", "J", "Q", "L", "max_order")


class ScatteringTransformer(TransformerMixin, BaseEstimator):
    r"""Features of an extractor as columns of a table, for pipelines and searches of scikit-learn.

    Nothing is learned: `fit` notes the number of samples per signal and builds the transform where none is given.

    Parameters
    ----------
    extractor : FeatureExtractor, Scattering1D or Scattering2D, optional
        What makes the features, of real signals, with paths that do not depend on the signals. It is used as it is:
        ``clone`` copies it. Default: ``Scattering1D`` or ``Scattering2D`` with the next five parameters, which must be
        left out where an extractor is given.
    shape : tuple of int, optional
        Samples (N,) or pixels (M, N) of a signal, which is one row of X in C order. Default: (n_features,).
    J : int, optional
        Octaves. Default: 3, or fewer for images whose shorter side has less than 8 pixels, and for lines of less than
        128 samples.
    Q : int or tuple of int, optional
        Wavelets per octave, in one dimension only. Default: that of ``Scattering1D``.
    L : int, optional
        Directions, in two dimensions only. Default: that of ``Scattering2D``.
    max_order : int, optional
        Highest order. Default: that of the transform.
    batch_size : int
        Rows that are transformed at once: it bounds the memory beside that of the result, and changes no value.

    Attributes
    ----------
    extractor_ : FeatureExtractor, Scattering1D or Scattering2D
        The extractor in use.
    n_features_in_ : int
        Samples of a signal.
    feature_names_in_ : (n_features_in_,) array of str
        Columns of X in `fit`, where they all have names.

    Raises
    ------
    TypeError
        In `fit`: for an extractor or batch size of another kind.
    ValueError
        In `fit`: for parameters that do not fit each other or X, or an extractor of complex signals, with complex
        features, or with paths that depend on the signals. In `fit` and `transform`: for X that is not a dense table of
        real finite numbers with the samples of one signal per row.

    Notes
    -----
    Features have the precision of the extractor, to which samples are converted. Without an extractor that is float32
    if `fit` was given float32, and else float64.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from scatter_theory.adapters import ScatteringTransformer
    >>> images = np.random.default_rng(0).normal(size=(6, 64))
    >>> scattering = ScatteringTransformer(shape=(8, 8), J=2)
    >>> scattering.fit_transform(images).shape
    (6, 324)
    >>> str(scattering.get_feature_names_out()[11])
    'order1 (j=0, theta=1) [1, 1]'
    >>> model = make_pipeline(scattering, LogisticRegression()).fit(images, [0, 1, 0, 1, 0, 1])
    """

    def __init__(
        self,
        extractor: Extractor | None = None,
        *,
        shape: Sequence[int] | None = None,
        J: int | None = None,
        Q: int | tuple[int, ...] | None = None,
        L: int | None = None,
        max_order: int | None = None,
        batch_size: int = 256,
    ) -> None:
        self.extractor = extractor
        self.shape = shape
        self.J = J
        self.Q = Q
        self.L = L
        self.max_order = max_order
        self.batch_size = batch_size

    def fit(self, X: Any, y: Any = None) -> Self:
        """Note the number of samples, and build the transform where none is given.

        Parameters
        ----------
        X : (n_signals, n_samples) array or table
            One signal per row.
        y : ignored
            For pipelines.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            For a batch size that is no whole number of rows, and for rows that are no signals of the shape.
        """
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, Integral):
            raise TypeError(
                f"`{OWNER}(batch_size=...)`: got {self.batch_size!r}, expected a whole number of rows, e.g. 256."
            )
        if self.batch_size < 1:
            raise ValueError(f"`{OWNER}(batch_size=...)`: got {self.batch_size}, expected at least 1 row.")
        _check_table(X, "fit")
        X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_min_features=2)
        self._rows = Rows.of(OWNER, self._built(X) if self.extractor is None else self._given())
        if self._rows.n_samples != X.shape[1]:
            raise ValueError(
                f"`{OWNER}.fit(X)`: got {X.shape[1]} columns, expected {self._rows.n_samples}, the samples of a signal "
                f"of shape {self._rows.shape}. Flatten signals with `X.reshape(len(X), -1)`."
            )
        self.extractor_ = self._rows.extractor
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Features of signals.

        Parameters
        ----------
        X : (n_signals, n_samples) array or table
            One signal per row.

        Returns
        -------
        (n_signals, n_features) array
            Named by `get_feature_names_out`; another container after ``set_output``.
        """
        check_is_fitted(self)
        _check_table(X, "transform")
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        features = np.empty((len(X), self._rows.n_features), dtype=self._rows.dtype)
        for start in range(0, len(X), self.batch_size):
            features[start : start + self.batch_size] = self._rows(X[start : start + self.batch_size])
        return features

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the features: path and position, such as ``"order1 (j=1, theta=3) [4, 2]"``.

        Parameters
        ----------
        input_features : sequence of str, optional
            Names of the samples; they are checked against those of `fit`, and play no other part.

        Returns
        -------
        (n_features,) array of str
            Order or layer; of each wavelet along the path its scale j and its direction theta, its scale j and its
            index n on a line, or the label of the atom of a FeatureExtractor; the indices of the position.

        Raises
        ------
        ValueError
            For other names, or another number of them, than those of `fit`.
        """
        check_is_fitted(self)
        if input_features is not None:
            names = np.asarray(input_features, dtype=object)
            known = getattr(self, "feature_names_in_", None)
            if known is not None and not np.array_equal(names, known):
                raise ValueError(
                    f"`{OWNER}.get_feature_names_out(input_features=...)`: input_features is not equal to "
                    "feature_names_in_, the names of the columns in `fit`. Leave them out."
                )
            if len(names) != self.n_features_in_:
                raise ValueError(
                    f"`{OWNER}.get_feature_names_out(input_features=...)`: input_features should have length equal to "
                    f"number of features ({self.n_features_in_}), got {len(names)}. Leave them out."
                )
        return self._rows.names()

    def _given(self) -> Extractor:
        """The user's extractor; refuses parameters that it would leave without effect."""
        idle = [name for name in PARAMETERS if getattr(self, name) is not None]
        if idle:
            raise ValueError(
                f"`{OWNER}(extractor=..., {idle[0]}=...)`: got an extractor and {', '.join(idle)}, expected one or the "
                "other: build the extractor with these parameters."
            )
        return self.extractor

    def _built(self, X: np.ndarray) -> Extractor:
        """The transform that the parameters describe."""
        shape = (X.shape[1],) if self.shape is None else tuple(self.shape)
        if len(shape) not in (1, 2):
            raise ValueError(
                f"`{OWNER}(shape=...)`: got {self.shape!r}, expected (N,) or (M, N). For other signals give an "
                "`extractor`."
            )
        alien, own = ("L", "Q") if len(shape) == 1 else ("Q", "L")
        if getattr(self, alien) is not None:
            raise ValueError(
                f"`{OWNER}({alien}={getattr(self, alien)!r})`: got it for signals of shape {shape}, expected {own}: "
                "Q belongs to signals on a line, L to images."
            )
        if math.prod(shape) != X.shape[1]:
            raise ValueError(
                f"`{OWNER}.fit(X)`: got {X.shape[1]} columns, expected {math.prod(shape)}, the samples of a signal of "
                f"shape {shape}. Flatten signals with `X.reshape(len(X), -1)`, or give their `shape`."
            )
        options = {name: getattr(self, name) for name in (own, "max_order") if getattr(self, name) is not None}
        # On a line the low-pass has to decay within the signal, which takes 16 times its scale.
        most = int(math.log2(min(shape))) if len(shape) == 2 else max(int(math.log2(shape[0])) - 4, 1)
        J = min(3, most) if self.J is None else self.J
        dtype = torch.float32 if X.dtype == np.float32 else torch.float64
        transform = Scattering1D if len(shape) == 1 else Scattering2D
        return transform(J=J, shape=shape, dtype=dtype, **options)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        kinds = {torch.float32: "float32", torch.float64: "float64"}
        given = getattr(self.extractor, "dtype", None)
        tags.transformer_tags.preserves_dtype = [kinds[given]] if given in kinds else ["float64", "float32"]
        return tags


def _check_table(X: Any, method: str) -> None:
    """Refuse a stack of images, and say how it becomes a table."""
    if getattr(X, "ndim", 2) > 2:
        raise ValueError(
            f"`{OWNER}.{method}(X)`: got an array of shape {tuple(X.shape)}, expected a table with one signal per row. "
            "Flatten signals with `X.reshape(len(X), -1)`, and give `shape` where no extractor is given."
        )
