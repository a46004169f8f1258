"""``python -m scatter_theory``."""

from scatter_theory.cli import run

if __name__ == "__main__":
    run()
