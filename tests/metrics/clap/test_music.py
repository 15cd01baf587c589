"""A second CLAP as columns: n/a without one, and any that is named in brackets."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2] / "hub"))

import tiny

from bench.api import CheckpointError, Clip, ConfigError, Metric, Output, Style, UnknownNameError
from bench.cli.main import cli
from bench.conformance.checks import run_check
from bench.conformance.metric_checks import METRIC_CHECKS
from bench.conformance.metric_subject import MetricSubject
from bench.plugins.catalog import describe, find_metric
from bench.plugins.opening import open_metric
from bench.records.store import load_run
from metrics.clap import laion_constants
from metrics.clap.checkpoints import LAION_MUSIC, MINI_FOLDER, UNFUSED, in_folder
from metrics.clap.music_checkpoints import NOT_IN_MINI, locate_music

ClipReader = Callable[[str, float], Clip]
NAMES = ("cp", "sf.heldout", "sf.seen", "sf.text", "sf.margin")
MINI = "metrics/clap/weights"
SUITE = """
schema_version = 1
name = "second"
dataset = "mini"
profile = "mini"
methods = ["eq-match"]
controls = []
styles = ["bells"]
contents = 1
"""


@pytest.fixture(scope="module")
def outputs(bundled: ClipReader) -> list[Output]:
    content = bundled("content/piano/piano_ode_to_joy", 2.0)
    clips = tuple(bundled(f"style/accordion/accordion_{n}", 2.0) for n in range(1, 5))
    style = Style("accordion", clips[:2], clips[2:], "accordion music")
    rival = Style("piano", (content,), (content,))
    return [Output(content, style, clip.audio, (rival,)) for clip in (content, *clips)]


@pytest.fixture(scope="module")
def laion_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny `.pt` file of laion's with the files of its tokenizer beside it."""
    folder = tmp_path_factory.mktemp("laion")
    for name, data in tiny.clap(folder / "scratch").items():
        if name not in {"config.json", "pytorch_model.bin"}:
            (folder / name).write_bytes(data)
    (folder / "mine.pt").write_bytes(tiny.laion())
    return folder / "mine.pt"


def opened(name: str) -> Metric:
    metric = open_metric(find_metric(name), Path("unused"))
    metric.load("mini", "cpu")
    return metric


@pytest.mark.parametrize("name", NAMES)
def test_without_a_checkpoint_the_mini_profile_has_no_score(
    name: str, outputs: list[Output]
) -> None:
    metric = opened(f"{name}@music")
    found = metric.score(outputs)
    assert {(one.name, one.value, one.status) for one in found} == {
        (f"{name}@music", None, "unsupported")
    }
    assert {one.reason for one in found} == {NOT_IN_MINI}
    assert metric.fingerprint()["checkpoint"] is None
    assert describe(find_metric(f"{name}@music"), "mini").weights == ()


@pytest.mark.parametrize("name", NAMES)
def test_on_the_mini_clap_it_gives_the_scores_of_the_first(
    name: str, outputs: list[Output], checkout: Path
) -> None:
    """The same model by another way in: all that may differ is the name."""
    whole = f"{name}@music[checkpoint={checkout / MINI}]"
    first, second = opened(name), opened(whole)
    pairs = zip(first.score(outputs), second.score(outputs), strict=True)
    for ours, theirs in pairs:
        assert (theirs.name, theirs.value, theirs.raw) == (whole, ours.value, ours.raw)
        assert dict(theirs.detail) == dict(ours.detail)
    facts = [dict(metric.fingerprint()) for metric in (first, second)]
    assert [one.pop("metric") for one in facts] == [name, whole]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("check", METRIC_CHECKS, ids=attrgetter("name"))
def test_on_a_file_of_laions_it_keeps_the_contract(check: object, laion_file: Path) -> None:
    for name in ("cp@music", "sf.text@music"):
        whole = f"{name}[checkpoint={laion_file}]"
        outcome = run_check(check, MetricSubject(whole, find_metric(whole)))  # type: ignore[arg-type] # of METRIC_CHECKS
        assert (outcome.status, outcome.reason) == ("passed", "")


def test_a_file_is_itself_and_the_constants_of_laion(laion_file: Path) -> None:
    found = locate_music("mini", str(laion_file))
    assert found is not None
    assert (found.weights_file, found.tokenizer) == (laion_file, laion_file.parent)
    assert found.digest.endswith(f"+{laion_constants.DIGEST}")
    other = laion_file.parent / "other.pt"
    torch.save({"state_dict": {}}, other)
    another = locate_music("mini", str(other))
    assert another is not None
    assert another.digest != found.digest
    other.unlink()


def test_a_folder_is_what_it_is_for_the_first_clap() -> None:
    assert locate_music("mini", str(MINI_FOLDER)) == in_folder(MINI_FOLDER, "a test")


def test_what_is_nowhere_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"'no such thing' is neither a file, nor a folder"):
        locate_music("full", "no such thing")
    with pytest.raises(CheckpointError, match=re.escape("'no such thing' is neither a file")):
        describe(find_metric("cp@music[checkpoint=no such thing]"), "full")


def test_the_full_profile_loads_laions_music_checkpoint_or_the_one_in_brackets() -> None:
    assert describe(find_metric("cp@music"), "full").weights == (LAION_MUSIC.name, UNFUSED.name)
    named = describe(find_metric("cp@music[checkpoint=630k-audioset-best]"), "mini")
    assert [name.partition("#")[2] for name in named.weights] == ["630k-audioset-best", ""]
    on_hub = describe(find_metric("cp@music[checkpoint=owner/name@v1.2]"), "full")
    assert on_hub.weights == ("hub:owner/name@v1.2",)
    assert [one.name for one in on_hub.checkpoints] == list(on_hub.weights)


def test_settings_that_do_not_exist_are_refused_and_the_right_ones_named() -> None:
    with pytest.raises(UnknownNameError, match="checkpoint"):
        find_metric("cp@music[chekpoint=x.pt]")
    with pytest.raises(ConfigError, match=r"chroma takes none.* with settings are cp@music, "):
        find_metric("chroma[checkpoint=x.pt]")
    with pytest.raises(ConfigError, match="checkpoint"):
        find_metric("cp@music[checkpoint=5]")
    with pytest.raises(UnknownNameError, match=r"cp@musik\[checkpoint=x\]' is not in the catalog"):
        find_metric("cp@musik[checkpoint=x]")


def test_a_title_shows_what_is_in_the_brackets() -> None:
    info = find_metric("cp@music[checkpoint=x.pt]").info
    assert info is not None
    assert info.title == "CP (CLAP music) [checkpoint=x.pt]"


def test_a_run_has_a_column_for_each_model(tmp_path: Path, checkout: Path) -> None:
    named = f"cp@music[checkpoint={checkout / MINI}]"
    (tmp_path / "second.toml").write_text(SUITE, encoding="utf-8")
    words = ["run", "--suite", str(tmp_path / "second.toml"), "--metrics", f"cp,cp@music,{named}"]
    words += ["--device", "cpu", "--no-html", "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    run = load_run(tmp_path / "run")
    assert [metric.name for metric in run.header.metrics] == ["cp", "cp@music", named]
    for cell in run.plan:
        first, absent, second = (
            run.scores[cell.cell_id, name] for name in ("cp", "cp@music", named)
        )
        assert (absent.status, absent.reason) == ("unsupported", NOT_IN_MINI)
        assert first.raw == second.raw
        assert first.fingerprint != second.fingerprint


def test_check_takes_it_with_its_brackets(checkout: Path) -> None:
    name = f"cp@music[checkpoint={checkout / MINI}]"
    done = CliRunner().invoke(cli, ["check", name])
    assert done.exit_code == 0, done.output
    assert "0 failed" in done.output
