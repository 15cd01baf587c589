"""Fetching published files that no hub holds: resumed, recorded, and refused when they change."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
import torch
from machines import Machine
from server import Hub, Repository

from methods.gatys.checkpoints import PUBLISHED
from methods.gatys.trunks import VggishTrunk

VGGISH, CNN14 = (PUBLISHED[trunk].files[0] for trunk in ("vggish", "cnn14"))
SSVQVAE = "ssvqvae_model_state.pt"
# They begin as pickles do; what follows may be anything.
SERVED = {
    VGGISH: b"\x80" + b"v" * 3999, CNN14: b"\x80" + b"c" * 4999, SSVQVAE: b"\x80" + b"s" * 5999
}  # fmt: skip


def saved(state: object) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@pytest.fixture(scope="module")
def vggish() -> bytes:
    """A state dict with the published names."""
    state = dict(VggishTrunk().state_dict())
    for number in (0, 2, 4):
        state |= {f"embeddings.{number}.{part}": torch.zeros(1) for part in ("weight", "bias")}
    return saved(state)


@pytest.fixture
def equipped(machine: Machine, hub: Hub) -> Machine:
    """A machine whose mirror has all three files; two of them hold anything."""
    hub.repositories["files"] = Repository(
        {VGGISH: SERVED[VGGISH], CNN14: SERVED[CNN14], SSVQVAE: SERVED[SSVQVAE]}
    )
    return machine


def fetch(machine: Machine, *words: str) -> tuple[int, str]:
    done = machine.fetch(*words, BENCH_MIRROR=f"{machine.endpoint}/files")
    return done.returncode, done.stdout + done.stderr


def lock_of(machine: Machine) -> dict[str, dict[str, object]]:
    text = (machine.home / "bench" / "checkpoints.lock.json").read_text()
    return dict(json.loads(text)["entries"])


def test_they_are_fetched_by_the_names_of_their_methods(equipped: Machine) -> None:
    code, said = fetch(equipped, "vggish", "cnn14", "ssvqvae")
    assert code == 0, said
    folder = equipped.home / "bench" / "checkpoints"
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == {
        VGGISH: 4000, CNN14: 5000, SSVQVAE: 6000,
    }  # fmt: skip
    locked = lock_of(equipped)
    assert {key for key in locked if "#" in key} == set(locked)
    for held in locked.values():
        (fact,) = held["files"].values()  # type: ignore[attr-defined] # JSON
        assert held["commit"] == fact["sha256"][:40]


def test_what_would_come_is_shown_first(machine: Machine) -> None:
    done = machine.run("-m", "bench", "fetch", "vggish", "ssvqvae")
    assert done.returncode == 2
    for words in ("vggish-10086976", "0.3 GB", "Apache-2.0", "unclear", "curl -L"):
        assert words in done.stdout


def test_a_transfer_that_breaks_off_goes_on(equipped: Machine, hub: Hub) -> None:
    hub.repositories["files"].broken_at[VGGISH] = 1500
    code, said = fetch(equipped, "vggish")
    assert code == 2
    assert "Fetch again" in said
    assert fetch(equipped, "vggish")[0] == 0
    assert [request.range for request in hub.downloads(VGGISH)] == [None, "bytes=1500-"]
    file = equipped.home / "bench" / "checkpoints" / VGGISH
    assert file.read_bytes() == SERVED[VGGISH]


def test_a_server_that_refuses_is_named_with_the_way_by_hand(equipped: Machine, hub: Hub) -> None:
    hub.repositories["files"].closed = 503
    code, said = fetch(equipped, "ssvqvae")
    assert code == 2
    assert "answers 503" in said
    assert "curl -L" in said


def test_other_bytes_under_the_same_name_are_refused(equipped: Machine, hub: Hub) -> None:
    assert fetch(equipped, "vggish")[0] == 0
    (equipped.home / "bench" / "checkpoints" / VGGISH).unlink()
    hub.repositories["files"].files[VGGISH] = b"\x80" + b"w" * 3999
    code, said = fetch(equipped, "vggish")
    assert code == 2
    assert "were recorded when it was first" in said


def test_a_page_in_place_of_weights_does_not_lock_the_weights_out(
    equipped: Machine, hub: Hub
) -> None:
    """As a network that asks to log in answers; trusted as what came first, it would stay."""
    served = hub.repositories["files"].files
    served[VGGISH] = b"<html>Log in</html>"
    code, said = fetch(equipped, "vggish")
    assert code == 2
    assert "is no file of weights (it begins with b'<htm')" in said
    assert "Traceback" not in said
    served[VGGISH] = SERVED[VGGISH]
    assert fetch(equipped, "vggish")[0] == 0


def test_a_file_that_is_larger_than_declared_is_refused(equipped: Machine, hub: Hub) -> None:
    declared = PUBLISHED["vggish"].bytes
    hub.repositories["files"].listed_sizes[VGGISH] = 10 * declared
    code, said = fetch(equipped, "vggish")
    assert code == 2
    assert f"sends {10 * declared} bytes, but at most" in said


def test_a_file_put_there_by_hand_is_recorded(equipped: Machine, hub: Hub) -> None:
    folder = equipped.home / "bench" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / CNN14).write_bytes(b"mine")
    assert fetch(equipped, "cnn14")[0] == 0
    assert hub.downloads(CNN14) == []
    assert len(lock_of(equipped)) == 1


def test_another_folder_is_remembered(equipped: Machine, tmp_path: Path) -> None:
    assert fetch(equipped, "vggish", "--local-dir", str(tmp_path / "disk"))[0] == 0
    found = equipped.run(
        "-c", "from bench.weights import hub_folder\n"
        "from methods.gatys.checkpoints import PUBLISHED\n"
        "print(hub_folder(PUBLISHED['vggish']))",
    )  # fmt: skip
    assert Path(found.stdout.strip()) == tmp_path / "disk"


def test_a_run_without_them_names_the_command_before_any_work(machine: Machine) -> None:
    done = machine.run(
        *("-m", "bench", "run", "--suite", "mini", "--profile", "full", "--methods", "vggish"),
        *("--metrics", "chroma", "--out", os.devnull),
    )
    assert done.returncode == 2
    assert "vggish-10086976 (0.3 GB)" in done.stderr


@pytest.mark.slow
def test_a_fetched_network_is_loaded(machine: Machine, hub: Hub, vggish: bytes) -> None:
    hub.repositories["files"] = Repository({VGGISH: vggish})
    assert fetch(machine, "vggish")[0] == 0
    loads = "from methods.gatys.pretrained import _published; _published('vggish', 'cpu')"
    done = machine.run("-c", loads)
    assert done.returncode == 0, done.stderr
