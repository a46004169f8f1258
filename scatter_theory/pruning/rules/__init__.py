"""Which weights go first: scores, the lowest of them, and budgets of layers."""
