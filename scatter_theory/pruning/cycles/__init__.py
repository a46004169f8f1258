"""Training, pruning and rewinding in turns."""
