"""MusicGen melody (Copet et al., 2023): text gives the sound, the content's chroma the melody."""
