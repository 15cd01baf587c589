"""CLAP scores by laion's own library, in an environment of its own."""
