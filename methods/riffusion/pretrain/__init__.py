"""Training the mini profile of Riffusion from scratch: `python -m methods.riffusion.pretrain`."""
