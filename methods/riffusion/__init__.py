"""Style transfer on Riffusion: time-varying embeddings, textual inversion, edits, and controls."""
