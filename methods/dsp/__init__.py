"""Baselines of signal processing: no model, no training, seconds of work on a CPU."""
