"""Ready for a paper: LaTeX that compiles as it stands, vector figures, and a check of its numbers.

`write` makes the files; above each table stands a mark (`reports.marks`) that says where it comes
from; `check` compares marked tables with the records, however the paper has dressed them since.
"""
