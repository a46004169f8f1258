"""Bounds of the network of the torus, by the commutators of its filters with a deformation."""
