"""What a back end in another environment may ask; without libraries, on Python 3.10 too."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bench.errors import CheckpointError

# Set for a worker by `bench.plugins.process`: JSON, the folder of each fetched checkpoint by its
# title.
FOLDERS_VARIABLE = "BENCH_HUB_FOLDERS"


def fetched_folder(title: str) -> Path:
    """Where a checkpoint of this back end lies, checked by the run that started the worker.

    Raises:
        CheckpointError: The run named none of that title.
    """
    folders: dict[str, str] = json.loads(os.environ.get(FOLDERS_VARIABLE, "{}"))
    if title not in folders:
        raise CheckpointError(
            f"{title} is not among the checkpoints of this worker ({', '.join(folders) or 'none'}"
            "); a back end runs in a worker of the benchmark. Use `run`, `transfer` or `check`."
        )
    return Path(folders[title])
