"""What a table is before it has a format, and the formats: text, Markdown, LaTeX, CSV, HTML."""
