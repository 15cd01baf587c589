"""Tables and figures for a paper, as LaTeX that compiles, and a check of a paper's numbers.

`write` makes the files, with a mark (`reports.text.marks`) above each table that says where it
comes from. `check` compares marked tables with the records, however the paper has formatted them.
"""
