"""From a name to a loaded plug-in, here or in a worker process of its own.

Nothing stands here: workers import this package where there is only numpy.
"""
