"""The doctor reports, never fails, and knows what stops the mini profile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.api import ProfileInfo
from bench.checkout import CHECKOUT
from bench.cli.main import cli
from bench.doctor import checkpoints, machine, software
from bench.doctor.checkpoints import Needed
from bench.doctor.findings import Finding, ask
from bench.doctor.reference import Row, Verdict
from bench.doctor.report import SCORES, Diagnosis
from bench.doctor.scores import _finding

WEIGHTS = "metrics/clap/weights"
MUSICNN = "metrics/weights/musicnn"
HEAVY = ("torch", "diffusers", "transformers", "librosa", "huggingface_hub.hf_api")
PROBE = """
import sys
from bench.cli.main import main
try:
    main()
finally:
    print(*[name for name in sys.argv.pop().split(",") if name in sys.modules], file=sys.stderr)
"""


def run_doctor(
    checkout: Path, *options: str, **surrounding: str
) -> subprocess.CompletedProcess[str]:
    code = PROBE.replace("sys.argv.pop()", repr(",".join(HEAVY)))
    return subprocess.run(
        [sys.executable, "-c", code, "doctor", *options],
        capture_output=True,
        text=True,
        cwd=checkout,
        env={**os.environ, **surrounding},
        check=False,
        timeout=600,
    )


def test_it_reports_everything_and_loads_nothing_heavy(checkout: Path, tmp_path: Path) -> None:
    done = run_doctor(checkout, HF_HOME=str(tmp_path), BENCH_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    for words in (
        "device",
        "0 entries, 0.0 MB; safe to delete",
        "ok     methods/riffusion/weights",
        "absent, 6.1 GB, CC-BY-NC-4.0; musicgen",
        "-> python -m bench fetch table2 --accept-licences",
    ):
        assert words in done.stdout
    assert done.stdout.endswith("The mini profile can run: python -m bench run --suite mini\n")
    if not any(path.exists() for path in machine.NVIDIA):
        imported = done.stderr.splitlines()[-1].split()
        assert not set(imported) & {"torch", "diffusers", "transformers", "librosa"}


@pytest.mark.slow
def test_it_says_whether_metrics_give_their_reference_values(
    checkout: Path, tmp_path: Path
) -> None:
    """The one thing for which it loads models; it remembers nothing of it."""
    cache = tmp_path / "cache"
    done = run_doctor(checkout, "--scores", HF_HOME=str(tmp_path), BENCH_CACHE=str(cache))
    assert done.returncode == 0, done.stderr
    section = done.stdout.partition("reference values of the metrics")[2]
    lines = section.splitlines()
    for name in ("cp", "sf.text", "cp.as_published", "chroma", "chroma (full)", "notes", "melody"):
        (line,) = (one for one in lines if one.startswith(f"  ok     {name}  "))
        assert "5 scores as in the table on " in line
    assert "that wrote the table: cp (full), sf.heldout (full), " in section
    assert "an environment of its own, metrics/laion: cp@laion, cp@laion (full)" in section
    assert not list(cache.rglob("clap-*"))


def test_another_score_than_the_reference_is_wrong_but_prevents_no_run() -> None:
    row = Row("", {"metric": "x"}, ((0.5, 0.5),) * 3, 1e-4)
    faulty = _finding("cp", row, Verdict("chord scores 0.400000, not 0.500000"), "cpu")
    assert (faulty.severity, faulty.fix) == ("wrong", software.INSTALL)
    diagnosis = Diagnosis({"machine": [Finding("disk", "1 MB")], SCORES: [faulty]})
    assert diagnosis.mini_can_run
    assert not diagnosis.scores_hold
    assert diagnosis.text.endswith(
        "The mini profile can run, but scores here compare with no others. First: "
        f"{software.INSTALL} (cp)"
    )
    fine = _finding("cp", row, Verdict("", 3e-8, ("torch 2.6, not 2.13",)), "cpu")
    assert fine.severity == "ok"
    assert fine.text == (
        "3 scores as in the table on cpu, at most 3e-08 apart (allowed 1e-04); torch 2.6, not 2.13"
    )


def test_what_stops_the_mini_profile_ends_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SystemExit, match="2"):
        cli.main(["doctor"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "file is not a writable folder" in shown
    assert "cannot run. First: set BENCH_CACHE to a folder that you may write to (cache)" in shown


def test_a_question_without_an_answer_is_a_line() -> None:
    def question() -> list[Finding]:
        raise ZeroDivisionError("no such thing")

    (finding,) = ask("disk", question)
    assert (finding.severity, finding.topic) == ("note", "disk")
    assert finding.text == "could not be found out (ZeroDivisionError: no such thing)"
    assert Diagnosis({"machine": [finding]}).mini_can_run


def test_packages_are_compared_with_what_is_needed_and_what_was_tested(tmp_path: Path) -> None:
    import numpy as np

    wanted = '["numpy>=99", "click>=8.1", "no-such-package>=1", "pydantic>=2"]'
    (tmp_path / "pyproject.toml").write_text(
        f"[project]\ndependencies = {wanted}\n", encoding="utf-8"
    )
    pins = software.pins(CHECKOUT / "constraints.txt")
    (tmp_path / "constraints.txt").write_text(
        f"# tested\nnumpy==99.0\nclick==0.1\npydantic=={pins['pydantic']}\n", encoding="utf-8"
    )
    found = {finding.topic: finding for finding in software.packages(tmp_path)}
    assert found["packages"].text == "1 of 4 as tested"
    assert found["numpy"].text == f"{np.__version__}; at least 99 is needed"
    assert found["no-such-package"].text == "not installed"
    assert "tested with 0.1" in found["click"].text
    assert [found[name].severity for name in ("numpy", "no-such-package", "click")] == [
        "wrong",
        "wrong",
        "note",
    ]
    assert found["numpy"].fix == "python -m pip install -c constraints.txt -e ."


def test_this_checkout_has_the_packages_that_it_pins() -> None:
    assert {finding.severity for finding in software.packages()} <= {"ok", "note"}


@pytest.fixture
def weights(checkout: Path, tmp_path: Path) -> Path:
    """A copy of the smallest mini model."""
    return shutil.copytree(checkout / WEIGHTS, tmp_path / "weights")


def finding_of(folder: Path, *lost: str) -> Finding:
    held = Needed(ProfileInfo(licence="MIT"), ["cp", "sf.seen"])
    return checkpoints.folder_finding(WEIGHTS, folder, held, lost)


def test_whole_weights_come_with_size_licence_and_users(weights: Path) -> None:
    finding = finding_of(weights)
    assert finding.severity == "ok"
    assert finding.text.endswith(" MB, MIT; cp, sf.seen")


@pytest.mark.parametrize("kept", [0, 5, 4000, -1])
def test_weights_that_were_cut_are_wrong(weights: Path, kept: int) -> None:
    file = weights / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    finding = finding_of(weights)
    assert finding.severity == "wrong"
    assert finding.text.startswith("model.safetensors ")
    assert finding.text.endswith("needed by cp, sf.seen")
    assert finding.fix == f"git checkout -- {WEIGHTS}"


@pytest.mark.parametrize("kept", [None, 0, 5, 4000, -1])
def test_an_onnx_file_is_whole_or_wrong(kept: int | None, checkout: Path, tmp_path: Path) -> None:
    file = tmp_path / "nmp.onnx"
    whole = (checkout / "metrics" / "pitch" / "weights" / "nmp.onnx").read_bytes()
    file.write_bytes(whole[:kept])
    finding = finding_of(tmp_path)
    assert finding.severity == ("ok" if kept is None else "wrong")
    assert kept is None or finding.text.startswith("nmp.onnx ")


def test_a_text_is_no_onnx_file(tmp_path: Path) -> None:
    (tmp_path / "nmp.onnx").write_text("version https://git-lfs", encoding="utf-8")
    assert "nmp.onnx (23 bytes) is not a weights file" in finding_of(tmp_path).text


def test_a_folder_without_weights_is_wrong(weights: Path) -> None:
    (weights / "model.safetensors").unlink()
    assert "holds no weights" in finding_of(weights).text
    assert finding_of(weights / "nowhere").severity == "wrong"


def test_a_text_in_the_place_of_weights_is_wrong(weights: Path) -> None:
    (weights / "model.safetensors").write_text("version https://git-lfs", encoding="utf-8")
    assert "model.safetensors (23 bytes) is not a weights file" in finding_of(weights).text


def test_a_committed_file_that_is_gone_is_named(weights: Path, tmp_path: Path) -> None:
    assert checkpoints.deleted(tmp_path) == []
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "weights"], ["commit", "-q", "-m", "weights"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    (weights / "tokenizer.json").unlink()
    lost = checkpoints.deleted(tmp_path)
    assert lost == ["weights/tokenizer.json"]
    finding = finding_of(weights, *lost)
    assert (finding.severity, finding.text.partition(";")[0]) == (
        "wrong",
        "weights/tokenizer.json is gone",
    )


def test_every_checkpoint_of_the_catalogs_is_named_with_its_users() -> None:
    mini, full = checkpoints.needed("mini"), checkpoints.needed("full")
    assert set(mini["methods/riffusion/weights"].users) >= {"tve", "rti", "vocoder", "vae", "null"}
    assert any(name.startswith("hub:facebook/musicgen-melody@") for name in full)
    scores = ("cp", "sf.heldout", "sf.seen", "sf.text")
    margins = ("sf.margin", "sf.seen.margin")
    published = (f"{name}.as_published" for name in scores)
    assert set(mini[WEIGHTS].users) == {
        *scores,
        *margins,
        *published,
        "lpaps",
        "lpaps.channel",
    }
    assert mini[MUSICNN].users == full[MUSICNN].users
    assert {name.rpartition("musicnn")[0] for name in mini[MUSICNN].users} == {"sf."}


def test_without_the_packages_even_the_doctor_is_a_message(checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "bench", "doctor"],
        capture_output=True,
        text=True,
        cwd=checkout,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        check=False,
        timeout=600,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: package '")
    assert done.stderr.endswith("python -m pip install -c constraints.txt -e .\n")
