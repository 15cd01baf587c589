"""`publish`: a run as a dataset repository of the model hub, and reading one that was published."""
