"""`doctor`: whether this installation can run."""
