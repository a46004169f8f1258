"""The transform by its definition, one path after another, with numpy: what the plan must reproduce."""

import numpy as np


def naive(padded, orders, layout):
    """Averages ``{path: array}`` of one padded signal.

    Parameters
    ----------
    padded : (*shape) array
    orders : sequence of FilterOrder
    layout : Layout
    """
    d, found = padded.ndim, {}
    axes = tuple(range(-d, 0))

    def sampled(spectrum, step):
        """Inverse transform, then every `step`-th sample."""
        return np.fft.ifftn(spectrum, axes=axes)[(slice(None, None, step),) * d]

    def visit(u, level, n, path, j):
        spectrum = np.fft.fftn(u, axes=axes)
        low = layout.reduced(orders[min(n, len(orders) - 1)].low, u.shape)
        values = sampled(spectrum * low, 2 ** (layout.output_level - level))[layout.kept[layout.output_level]]
        found[path] = values if np.iscomplexobj(u) else values.real
        for a, scale in enumerate(orders[n].j if n < len(orders) else []):
            if scale > j:
                limited = scale if layout.finest is None else min(scale, layout.finest)
                coarser = max(limited - layout.oversampling, level)
                g = layout.reduced(orders[n].spectra[a], u.shape)
                visit(np.abs(sampled(spectrum * g, 2 ** (coarser - level))), coarser, n + 1, (*path, a), scale)

    visit(padded, 0, 0, (), -1)
    return found
