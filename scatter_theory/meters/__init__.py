"""Streaming statistics of any torch model: mergeable states that stay on their device, and a report of their read-outs.

A meter is a frozen value. ``init`` makes the empty one, ``update`` adds a tensor, ``merge`` adds another meter, and
``finalise`` reads it out. Updating and merging never need a value on the host.
"""

from scatter_theory.meters._capture import Capture
from scatter_theory.meters._counts import Counts
from scatter_theory.meters._moments import Moments
from scatter_theory.meters._pooling import REDUCTIONS, Pooling, Reduction
from scatter_theory.meters._recorder import Recorder
from scatter_theory.meters._report import Report
from scatter_theory.meters._sites import Site
from scatter_theory.meters._sums import Sums

__all__ = ["REDUCTIONS", "Capture", "Counts", "Moments", "Pooling", "Recorder", "Reduction", "Report", "Site", "Sums"]
