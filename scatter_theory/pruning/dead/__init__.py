"""Counting and predicting the units that do not fire."""
