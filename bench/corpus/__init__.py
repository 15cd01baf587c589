"""Rendered sound: the training corpus and the bundled mini clips."""
