"""Verifiers: measured worst cases against proven bounds."""

from scatter_theory.search import Effort
from scatter_theory.verify._lipschitz import lipschitz
from scatter_theory.verify._translation import translation

__all__ = ["Effort", "lipschitz", "translation"]
