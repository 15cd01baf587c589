"""Renders a dataset of this project.

`python -m bench.corpus [FOLDER]` writes the clips of the mini dataset, which are in the checkout;
`python -m bench.corpus pairs [FOLDER]` those of the dataset `pairs`, into the data folder.
"""

import logging
import sys
from pathlib import Path

from bench.api import DatasetError
from bench.checkout import DATASETS, data_folder
from bench.corpus.mini_dataset import write_mini_dataset
from bench.corpus.pairs_dataset import write_pairs_dataset

PAIRS = "pairs"

logging.basicConfig(level=logging.INFO, format="%(message)s")
words = sys.argv[1:]
try:
    if words[:1] == [PAIRS]:
        write_pairs_dataset(Path(words[1]) if len(words) > 1 else data_folder() / PAIRS)
    else:
        write_mini_dataset(Path(words[0]) if words else DATASETS / "mini")
except DatasetError as error:
    sys.exit(f"error: {error}")
