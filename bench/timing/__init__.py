"""`time`: what methods cost on this machine."""
