"""The words of a published run: its card with the tables, licences, and results for model pages."""
