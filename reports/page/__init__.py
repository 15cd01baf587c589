"""One HTML page per run, to look at and to listen to; works from file:// without a network."""
