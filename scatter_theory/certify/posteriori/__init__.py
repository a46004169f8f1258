"""Certificates for one given signal: over all displacements of a size, and over families of a few parameters."""
