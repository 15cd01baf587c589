"""Every table of a report: pure functions from a run to a `ResultTable`."""
