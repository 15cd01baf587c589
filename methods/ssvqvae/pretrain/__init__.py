"""Training SS VQ-VAE from scratch: `python -m methods.ssvqvae.pretrain`."""
