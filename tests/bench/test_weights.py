"""Checkpoints: whole, identified, and with tokenizers that know words."""

import os
from pathlib import Path

import pytest

from bench.api import CheckpointError, DeviceError, HubCheckpoint
from bench.device import peak_memory_bytes, resolve_device, synchronise
from bench.weights import check_tokenizer, digest, hub_folder, require_files


class Words:
    """A tokenizer that numbers the words it knows; unknown ones are 0."""

    def __init__(self, *known: str) -> None:
        self.known = list(known)

    def __len__(self) -> int:
        """Known words and the unknown one."""
        return len(self.known) + 1

    def __call__(self, text: str) -> dict[str, list[int]]:
        """Number the words of a text."""
        words = text.split()
        ids = [self.known.index(word) + 1 if word in self.known else 0 for word in words]
        return {"input_ids": ids}


def folder_with(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_whole_checkpoint_passes(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, config="{}", model="x")
    assert require_files(folder, ["config", "model"], "the model") == folder


def test_a_missing_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"the model: model is missing in .*bench fetch"):
        require_files(folder_with(tmp_path, config="{}"), ["config", "model"], "the model")


def test_an_empty_file_is_not_a_whole_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="model is empty"):
        require_files(folder_with(tmp_path, model=""), ["model"], "the model")


def test_the_digest_follows_names_and_bytes_and_nothing_else(tmp_path: Path) -> None:
    first = digest(str(folder_with(tmp_path / "a", x="1", y="2")))
    assert first == digest(str(folder_with(tmp_path / "b", x="1", y="2")))
    others = [
        digest(str(folder_with(tmp_path / "c", x="1", y="3"))),
        digest(str(folder_with(tmp_path / "d", x="1", z="2"))),
        digest(str(folder_with(tmp_path / "e", x="1"))),
    ]
    assert len({first, *others}) == 4


def test_the_digest_notices_a_rewritten_file_of_the_same_size(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, x="1")
    first = digest(str(folder))
    folder_with(tmp_path, x="2")
    later_ns = (folder / "x").stat().st_mtime_ns + 10**9
    os.utime(folder / "x", ns=(later_ns, later_ns))
    assert digest(str(folder)) != first


def test_a_model_card_does_not_change_the_digest(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, x="1")
    first = digest(str(folder))
    (folder / "README.md").write_text("words", encoding="utf-8")
    assert digest(str(folder)) == first


def test_a_hub_name_is_its_own_identity() -> None:
    checkpoint = HubCheckpoint("owner/name", "abc", ("config.json",), 10, "MIT")
    assert digest(checkpoint.name) == "hub:owner/name@abc"


def test_a_folder_without_weights_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no weights"):
        digest(str(tmp_path))
    with pytest.raises(CheckpointError, match="is neither a folder nor a file"):
        digest(str(tmp_path / "gone"))


def test_a_checkpoint_that_was_not_fetched_names_the_command() -> None:
    checkpoint = HubCheckpoint("no-such-owner/no-such-model", "0" * 40, ("x",), 10**9, "MIT")
    with pytest.raises(
        CheckpointError, match=r"not in the local cache \(1\.0 GB, MIT\).*hf download"
    ):
        hub_folder(checkpoint)


def test_a_tokenizer_with_words_passes(tmp_path: Path) -> None:
    check_tokenizer(Words("a", "piano", "violin"), tmp_path)


def test_a_tokenizer_without_words_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gives 1 different readings of 2 texts"):
        check_tokenizer(Words(), tmp_path)
    with pytest.raises(CheckpointError, match="gives 1 different readings of 2 texts"):
        check_tokenizer(Words("a", "b", "c", "d"), tmp_path)


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == "cpu"
    synchronise("cpu")
    assert peak_memory_bytes("cpu") > 10**6


def test_auto_gives_a_device_that_exists() -> None:
    assert resolve_device(resolve_device("auto")) == resolve_device("auto")


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(DeviceError, match="'cuda:97' is not on this machine"):
        resolve_device("cuda:97")
    with pytest.raises(DeviceError, match="'gpu' is not known"):
        resolve_device("gpu")
