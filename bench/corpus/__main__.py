"""`python -m bench.corpus FOLDER` writes the content and style clips of the mini dataset."""

import logging
import sys
from pathlib import Path

from bench.checkout import DATASETS
from bench.corpus.mini_dataset import write_mini_dataset

logging.basicConfig(level=logging.INFO, format="%(message)s")
write_mini_dataset(Path(sys.argv[1]) if len(sys.argv) > 1 else DATASETS / "mini")
