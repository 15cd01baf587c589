"""Figures of a run: `data` holds the numbers (pure functions), `draw` the pictures (matplotlib)."""
