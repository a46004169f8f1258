"""Lipschitz constants of trained torch networks: node by node, composed from above and attacked from below."""
