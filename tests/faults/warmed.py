"""What every forked run would find out anew: preloaded by the server that runs are forked from."""

from bench.run.provenance import installed_packages

installed_packages()
