"""SS VQ-VAE (Cifka et al., 2021): codes give the content, one vector of the style its timbre."""
