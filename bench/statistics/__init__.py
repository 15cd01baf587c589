"""The statistics of comparisons: pure functions of arrays."""
