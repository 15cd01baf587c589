"""Style transfer on Riffusion: time-varying embeddings (MusicTI), textual inversion, and the controls beside them."""
