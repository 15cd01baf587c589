"""Learning styles: fits, their draws, and the steps that all of them take together."""
