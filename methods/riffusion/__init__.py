"""Style transfer on Riffusion: time-varying embeddings, textual inversion, and their controls."""
