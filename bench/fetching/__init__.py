"""`fetch`: downloads of checkpoints and datasets."""
