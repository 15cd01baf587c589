"""How the mini CLAP model was made; `python -m metrics.clap.pretrain` makes it again."""
