"""CLAP: one space for sounds and words, and the scores that are cosines in it."""
