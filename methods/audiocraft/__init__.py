"""MusicGen melody by its authors' own library, in an environment of its own."""
