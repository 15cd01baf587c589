"""Training the mini MusicGen melody from scratch: `python -m methods.musicgen.pretrain`."""
