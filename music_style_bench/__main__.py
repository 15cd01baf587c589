"""`python -m music_style_bench`."""

from music_style_bench import main

main()
