"""Exact bounds of the linear layers of trained networks: convolutions on the torus, singular values, folding."""
