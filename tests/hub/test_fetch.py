"""Fetching checkpoints through the real client, from a hub that can be broken."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import socket
import subprocess
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
import torch
from machines import CHECKOUT, CLAP, CLAP_COMMIT, MUSICGEN, RIFFUSION, Machine
from server import COMMIT, Hub, Repository, serving

from methods.riffusion.backbone import read_backbone
from metrics.clap import laion_constants
from metrics.clap.checkpoints import LAION_630K, LAION_MUSIC_SPEECH, UNFUSED

Equipped = Callable[[], tuple[Machine, Hub, subprocess.CompletedProcess[str]]]
UNUSED = (
    "riffusion-model-v1.ckpt",
    "unet_traced.pt",
    "safety_checker/pytorch_model.bin",
    "state_dict.bin",
    "README.md",
)


def lock_of(machine: Machine) -> dict[str, dict[str, object]]:
    text = (machine.home / "bench" / "checkpoints.lock.json").read_text()
    return dict(json.loads(text)["entries"])


def test_without_acceptance_sizes_and_licences_are_shown_and_nothing_is_asked(
    machine: Machine, hub: Hub
) -> None:
    shown = machine.run("-m", "bench", "fetch", "table2")
    assert shown.returncode == 2
    for words in (RIFFUSION, MUSICGEN, CLAP, "6.1 GB", "CC-BY-NC-4.0", "dataset musicti"):
        assert words in shown.stdout
    assert "python -m bench fetch table2 --accept-licences" in shown.stderr
    assert hub.seen == []


def test_a_fetch_gets_the_files_that_are_used_and_no_others(equipped: Equipped) -> None:
    _, hub, done = equipped()
    assert done.returncode == 0, done.stderr
    for name in (RIFFUSION, MUSICGEN, CLAP):
        assert f"{name}: complete, in " in done.stdout
    assert [name for name in UNUSED if hub.downloads(name)] == []
    assert len(hub.downloads("model-00002-of-00002.safetensors")) == 1


def test_a_fetch_locks_commits_and_digests(
    equipped: Equipped, repositories: dict[str, Repository]
) -> None:
    machine, _, _ = equipped()
    locked = lock_of(machine)
    assert {entry["commit"] for entry in locked.values()} == {COMMIT, CLAP_COMMIT}
    files = locked[f"hub:{RIFFUSION}@main"]["files"]
    assert isinstance(files, dict)
    served = repositories[RIFFUSION]
    assert files
    for name, fact in files.items():
        assert fact["bytes"] == len(served.files[name])
        assert fact["sha256"] == hashlib.sha256(served.files[name]).hexdigest()


@pytest.mark.slow
def test_the_full_profile_loads_from_what_was_fetched(
    equipped: Equipped, repositories: dict[str, Repository]
) -> None:
    machine, _, _ = equipped()
    script = str(CHECKOUT / "tests" / "hub" / "load_full.py")
    done = machine.run(script, HF_HUB_OFFLINE="1", PYTHONPATH=str(CHECKOUT))
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["context"], seen["dimensions"]) == ([1, 16, 16], 8)
    assert seen["texts_differ"]
    assert len(set(map(tuple, seen["readings"]))) == 2
    assert all(len(ids) == 3 and ids[-1] == 1 for ids in seen["readings"])  # two words, the end
    assert seen["scaling"] == 0.18215
    assert seen["alphas"] == pytest.approx([0.99915, 0.00466], rel=1e-4)
    assert seen["checkpoint"] == f"hub:{CLAP}@{CLAP_COMMIT}+{laion_constants.DIGEST}"
    assert seen["text_epsilon"] == 1e-5  # laion's, not the library's of the file
    served = io.BytesIO(repositories[RIFFUSION].files["vae/diffusion_pytorch_model.bin"])
    state = torch.load(served, weights_only=True)
    former = state["encoder.mid_block.attentions.0.query.weight"]
    assert seen["query"] == former.flatten()[:4].tolist()


def test_what_is_here_is_checked_and_not_fetched_again(equipped: Equipped) -> None:
    machine, hub, _ = equipped()
    with serving(hub.repositories) as again:
        done = replace(machine, endpoint=again.url).fetch(CLAP)
    assert done.returncode == 0, done.stderr
    assert again.downloads("pytorch_model.bin") == []
    offline = machine.fetch(CLAP, HF_HUB_OFFLINE="1")
    assert f"{CLAP}: complete, in " in offline.stdout


def test_a_broken_transfer_is_resumed(machine: Machine, hub: Hub) -> None:
    """The client hands on ten megabytes at a time, so a shorter beginning is not kept."""
    repository = hub.repositories[CLAP]
    repository.files["vocab.json"] = b"{}" + b" " * 21_500_000
    repository.broken_at["vocab.json"] = 21_200_000
    done = machine.fetch(CLAP)
    assert done.returncode == 0, done.stderr
    first, second = (request.range for request in hub.downloads("vocab.json"))
    assert first is None
    assert second is not None
    assert 10_000_000 <= int(second.removeprefix("bytes=").removesuffix("-")) <= 21_200_000
    (found,) = (machine.home / "hf").rglob("snapshots/*/vocab.json")
    assert found.read_bytes() == repository.files["vocab.json"]


def test_a_local_folder_takes_the_place_of_the_cache(machine: Machine, tmp_path: Path) -> None:
    done = machine.fetch(CLAP, "--local-dir", str(tmp_path / "disk"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "disk" / CLAP / "pytorch_model.bin").stat().st_size > 500_000
    shown = machine.run("-m", "bench", "fetch", CLAP, HF_HUB_OFFLINE="1")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "0.6 GB  yes" in shown.stdout


def test_safetensors_are_preferred_to_pickles(machine: Machine, hub: Hub) -> None:
    hub.repositories[CLAP].files["model.safetensors"] = b"safe"
    done = machine.fetch(CLAP)
    assert done.returncode == 0, done.stderr
    assert len(hub.downloads("model.safetensors")) == 1
    assert hub.downloads("pytorch_model.bin") == []


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr[done.stderr.index("error:") :]


def test_a_size_that_is_not_the_announced_one_is_refused(machine: Machine, hub: Hub) -> None:
    hub.repositories[CLAP].listed_sizes["pytorch_model.bin"] = 600_000
    assert "came with another size than announced" in refused(machine.fetch(CLAP))
    hub.repositories[CLAP].listed_sizes = {"config.json": 7}
    assert "config.json came with" in refused(machine.fetch(CLAP))
    hub.repositories[CLAP].listed_sizes = {}
    assert machine.fetch(CLAP).returncode == 0


def test_a_repository_without_a_needed_file_is_refused(machine: Machine, hub: Hub) -> None:
    files = hub.repositories[CLAP].files
    del files["preprocessor_config.json"]
    assert f"{CLAP}: preprocessor_config.json is missing in {CLAP}" in refused(machine.fetch(CLAP))


def test_a_file_that_is_listed_and_gone_is_refused(machine: Machine, hub: Hub) -> None:
    hub.repositories[CLAP].gone.add("tokenizer.json")
    assert "announces a file that it does not hold" in refused(machine.fetch(CLAP))


def test_a_gated_repository_says_how_to_get_in(machine: Machine, hub: Hub) -> None:
    for status in (401, 403):
        hub.repositories[CLAP].closed = status
        text = refused(machine.fetch(CLAP))
        assert f"{hub.url}/{CLAP} cannot be read without permission ({status})" in text
        assert "hf auth login" in text


def test_without_network_the_address_is_named(machine: Machine) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{probe.getsockname()[1]}"
    text = refused(machine.fetch(CLAP, HF_ENDPOINT=closed))
    assert f"{closed}/{CLAP} cannot be reached" in text
    offline = refused(machine.fetch(CLAP, HF_HUB_OFFLINE="1"))
    assert "HF_HUB_OFFLINE is set" in offline


def test_an_unknown_repository_points_at_the_endpoint(machine: Machine, hub: Hub) -> None:
    del hub.repositories[CLAP]
    assert "Check HF_ENDPOINT" in refused(machine.fetch(CLAP))


def test_a_full_disk_is_said_so(machine: Machine) -> None:
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100000,) * 2); "
        "sys.dont_write_bytecode = True; runpy.run_module('bench', run_name='__main__')"
    )
    done = machine.run("-c", limited, "fetch", CLAP, "--accept-licences")
    assert "the disk is full, or a file may not grow so large" in refused(done)


def test_other_bytes_under_a_known_name_are_refused(equipped: Equipped, tmp_path: Path) -> None:
    machine, hub, _ = equipped()
    changed = deepcopy(hub.repositories)
    data = changed[CLAP].files["pytorch_model.bin"]
    changed[CLAP].files["pytorch_model.bin"] = data[:-1] + bytes([data[-1] ^ 1])
    with serving(changed) as other:
        again = replace(machine, endpoint=other.url)
        text = refused(again.fetch(CLAP, HF_HOME=str(tmp_path / "new")))
    assert "pytorch_model.bin has" in text
    assert "were recorded when it was first fetched" in text


def test_a_digest_known_beforehand_is_asked_for(machine: Machine, hub: Hub) -> None:
    name = "630k-audioset-best.pt"
    laion = Repository({name: b"something else"}, commit=LAION_630K.revision)
    hub.repositories[LAION_630K.id] = laion
    text = refused(machine.fetch("630k-audioset-best"))
    assert f"630k-audioset-best: {name} came with 14 bytes" in text
    assert "8053c9775516af2f... were announced" in text


def test_laions_own_checkpoints_are_found_by_name(machine: Machine) -> None:
    """Laid out as the client keeps them; the tokenizer is that of the conversion."""
    for checkpoint in (LAION_630K, UNFUSED):
        folder = f"models--{checkpoint.id.replace('/', '--')}/snapshots/{checkpoint.revision}"
        where = machine.home / "hf" / "hub" / folder
        where.mkdir(parents=True)
        for name in (*checkpoint.files, *(group[-1] for group in checkpoint.either)):
            (where / name).write_text("x")
    ask = (
        "from metrics.clap.checkpoints import describe, locate; found = locate('full'); "
        "print(found.weights_file.name, found.tokenizer.name, describe('full').weights[0])"
    )
    done = machine.run("-c", ask, BENCH_CLAP="630k-audioset-best", HF_HUB_OFFLINE="1")
    assert done.stdout.split() == ["630k-audioset-best.pt", UNFUSED.revision, LAION_630K.name]
    absent = machine.run("-c", ask, BENCH_CLAP="music_audioset_epoch_15_esc_90.14")
    assert "bench fetch music_audioset_epoch_15_esc_90.14 --accept-licences" in absent.stderr


@pytest.mark.slow
def test_lpaps_loads_its_own_checkpoint_whatever_the_scores_load(
    machine: Machine, hub: Hub
) -> None:
    """Fetched by its name, without the conversion's tokenizer, which it does not need."""
    (name,) = LAION_MUSIC_SPEECH.files
    repository = Repository({name: tiny.laion()}, commit=LAION_MUSIC_SPEECH.revision)
    hub.repositories[LAION_MUSIC_SPEECH.id] = repository
    assert machine.fetch(LAION_MUSIC_SPEECH.part).returncode == 0
    ask = (
        "from bench.doctor.reference import outputs; from metrics.clap.lpaps import Lpaps; "
        "metric = Lpaps(); metric.load('full', 'cpu'); facts = metric.fingerprint(); "
        "print(facts['checkpoint'], facts['stages'], metric.score(outputs()[:1])[0].value)"
    )
    done = machine.run("-c", ask, BENCH_CLAP="630k-audioset-best", HF_HUB_OFFLINE="1")
    checkpoint, stages, value = done.stdout.split()
    assert checkpoint == f"{LAION_MUSIC_SPEECH.name}+{laion_constants.DIGEST}"
    assert stages == "4"
    assert 0 < float(value) < 16


@pytest.mark.slow
def test_a_second_clap_is_fetched_by_the_name_of_its_metric(machine: Machine) -> None:
    """A repository of the hub, named in brackets; without a fetch the command is said."""
    name = f"cp@music[checkpoint={CLAP}]"
    ask = (
        "from pathlib import Path; from bench.doctor.reference import outputs; "
        "from bench.plugins.catalog import find_metric; "
        "from bench.plugins.opening import open_metric; "
        f"metric = open_metric(find_metric({name!r}), Path('log')); metric.load('mini', 'cpu'); "
        "print(metric.fingerprint()['checkpoint'], metric.score(outputs()[:1])[0].status)"
    )
    absent = machine.run("-c", ask, HF_HUB_OFFLINE="1")
    assert f"fetch '{name}' --accept-licences" in absent.stderr
    assert machine.fetch(name).returncode == 0
    done = machine.run("-c", ask, HF_HUB_OFFLINE="1")
    checkpoint, status = done.stdout.split()
    assert checkpoint == f"hub:{CLAP}@{CLAP_COMMIT}+{laion_constants.DIGEST}"
    assert status == "ok"
    run = ["run", "--suite", "mini", "--metrics", "cp@music[checkpoint=owner/name]"]
    refused_run = machine.run("-m", "bench", *run, HF_HUB_OFFLINE="1")
    assert "bench fetch 'cp@music[checkpoint=owner/name]' --accept-licences" in refused_run.stderr


def test_a_branch_stays_at_the_commit_that_came_first(equipped: Equipped, tmp_path: Path) -> None:
    machine, hub, _ = equipped()
    moved = deepcopy(hub.repositories)
    moved[RIFFUSION].commit = "d" * 40
    with serving(moved) as other:
        again = replace(machine, endpoint=other.url)
        text = refused(again.fetch(RIFFUSION, HF_HOME=str(tmp_path / "new")))
    assert "has no revision main" in text
    asked = [request.path for request in other.seen]
    assert asked[0].endswith(f"/revision/{COMMIT}")


def test_a_file_changed_on_disk_stops_a_load(machine: Machine) -> None:
    assert machine.fetch(CLAP).returncode == 0
    (found,) = (machine.home / "hf").rglob("snapshots/*/pytorch_model.bin")
    blob = found.resolve()
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes()[:-1] + b"!")
    load = (
        "from bench.weights import hub_folder; from metrics.clap.checkpoints import UNFUSED; "
        "hub_folder(UNFUSED)"
    )
    done = machine.run("-c", load, HF_HUB_OFFLINE="1")
    assert "were recorded when it was first fetched" in done.stderr


class Intruder:
    """An object that would create a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        """What a pickle would call."""
        return open, (str(self.path), "w")


def test_code_in_a_pickle_is_not_run(repositories: dict[str, Repository], tmp_path: Path) -> None:
    trace, folder = tmp_path / "trace", tmp_path / "riffusion"
    for name, data in repositories[RIFFUSION].files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert read_backbone(folder).context_dim == 16
    for name in ("vae/diffusion_pytorch_model.bin", "text_encoder/pytorch_model.bin"):
        whole = (folder / name).read_bytes()
        torch.save({"weight": Intruder(trace)}, folder / name)
        with pytest.raises((OSError, pickle.UnpicklingError), match=r"(?i)weights.only|load"):
            read_backbone(folder)
        assert not trace.exists()
        (folder / name).write_bytes(whole)


def test_a_run_without_checkpoints_prints_the_command(machine: Machine, hub: Hub) -> None:
    done = machine.run("-m", "bench", "run", "--suite", "table2", "--device", "cpu")
    text = refused(done)
    assert f"{RIFFUSION} (4.3 GB)" in text
    assert "python -m bench fetch table2 --accept-licences" in text
    assert hub.seen == []
