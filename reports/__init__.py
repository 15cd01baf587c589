"""From the records of a run to what people read: tables, pages, papers and listening tests.

`reports.tables` has pure functions from a run to a `ResultTable`, `reports.text` turns such a table
into text, and `reports.write` reads run folders and writes the files. Nothing here imports torch.
"""
