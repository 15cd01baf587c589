"""`python -m bench.cli`: the same as `python -m bench`."""

import runpy

runpy.run_module("bench", run_name="__main__")
