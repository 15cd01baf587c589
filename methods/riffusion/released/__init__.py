"""Styles that others released: read as numbers, and turned into states of our methods."""
