"""From the records of a run to tables: Markdown, LaTeX, CSV and text for the terminal.

`reports.tables` and its neighbours are pure functions from a run to a `ResultTable`;
`reports.formats` turns such a table into text; `reports.write` reads and writes files. Nothing here
imports torch.
"""
