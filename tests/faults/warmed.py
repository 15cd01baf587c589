"""What every forked run would find out anew: preloaded by the server that runs are forked from."""

import gc

from bench.run.provenance import installed_packages

installed_packages()
gc.collect()
gc.freeze()  # what is never looked at is not copied for each fork
