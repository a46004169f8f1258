"""Figures with sliders: frames, translations, deformations, estimators; plain figures without ipywidgets.

>>> import matplotlib; matplotlib.use("Agg")
>>> view = frame(family="Morlet", J=3)
>>> view.change(J=4)
>>> view.settings.J
4
>>> print(view.code)
import scatter_theory as st
<BLANKLINE>
grid = st.Grid.of((256,))
bank = st.frames.Morlet(J=4, Q=1).on(grid)
display = st.plot.TilingDisplay.from_bank(bank)
display.plot()
"""

from scatter_theory.explore._deformation import deformation
from scatter_theory.explore._estimators import estimators
from scatter_theory.explore._explorer import Explorer
from scatter_theory.explore._frame import frame
from scatter_theory.explore._translation import translation

__all__ = ["Explorer", "deformation", "estimators", "frame", "translation"]
