"""Edits of a content's own latent by a frozen model: inversions and what is sampled from them."""
