"""Rendering one content in one style, what is heard in it, and fits that travel as files."""
