"""Renders what this project renders, and says what that is.

`python -m bench.corpus [FOLDER]` writes the clips of the mini dataset, which are in the checkout;
`python -m bench.corpus pairs [FOLDER]` those of the dataset `pairs`, into the data folder;
`python -m bench.corpus list` names the sources of training audio with their licences;
`python -m bench.corpus timbres FOLDER [COUNT]` writes COUNT clips of each source that is here, as
trainings hear them, 8 where no number is given.
"""

import logging
import sys
from pathlib import Path

from bench.api import DatasetError
from bench.checkout import DATASETS, data_folder
from bench.corpus.mini_dataset import write_mini_dataset
from bench.corpus.pairs_dataset import write_pairs_dataset
from bench.corpus.sources import listing

PAIRS = "pairs"
USAGE = "usage: python -m bench.corpus timbres FOLDER [COUNT], COUNT a whole number above 0"
_MOST_WORDS = {"list": 1, PAIRS: 2, "timbres": 3}  # a folder alone is one word

logger = logging.getLogger(__name__)


def main(words: list[str]) -> None:
    """Do what the command line says."""
    if {"-h", "--help"} & set(words):
        logger.info("%s", __doc__)
        return
    _refuse_unknown(words)
    if words[:1] == [PAIRS]:
        write_pairs_dataset(Path(words[1]) if len(words) > 1 else data_folder() / PAIRS)
    elif words == ["list"]:
        logger.info("%s", listing())
    elif words[:1] == ["timbres"]:
        write_samples(words[1:])
    else:
        write_mini_dataset(Path(words[0]) if words else DATASETS / "mini")


def _refuse_unknown(words: list[str]) -> None:
    """End with a word that no command takes: a mistyped one is not the name of a folder."""
    # The third word is a count, which `write_samples` checks by its own rule.
    options = [word for word in words[:2] if word.startswith("-")]
    surplus = words[_MOST_WORDS.get(words[0], 1) :] if words else []
    if unknown := [*options, *surplus]:
        sys.exit(
            f"error: {unknown[0]!r} is not known here; `python -m bench.corpus --help` says what "
            "is. A folder whose name begins with a dash is written ./-name."
        )


def write_samples(words: list[str]) -> None:
    """Write clips of every source that is here."""
    folder, count = [*words, "8"][:2] if words else ("", "")
    if not count.isdecimal() or int(count) < 1:
        sys.exit(USAGE)
    from bench.corpus.samples import write_timbres  # and torch, which a refusal can do without

    write_timbres(Path(folder), int(count))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main(sys.argv[1:])
    except DatasetError as error:
        sys.exit(f"error: {error}")
