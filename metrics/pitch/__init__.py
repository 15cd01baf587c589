"""Judges of what is played: the notes of a sound (`notes`), and its melody (`melody`)."""
