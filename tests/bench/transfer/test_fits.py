"""Fits that travel: what a file holds, that it saves the learning, and what is refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent))

from toy_run import TOYS, fits, run

from bench.api import Audio, BenchError, ConfigError, RecordError, StyleState, UnknownNameError
from bench.audio import read_audio
from bench.cache import Cache, state_checksum
from bench.cli.main import cli
from bench.transfer import fit_files
from bench.transfer.fit_files import FitFile, Origin, read_fit, write_fit

GAIN = f"{TOYS}:Gain"
RATE = 16_000


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Contents and styles, a log of calls, and an exported fit of the bells; to be copied."""
    home = tmp_path_factory.mktemp("theirs")
    rng = np.random.default_rng(0)
    write(home / "data/content/tone/ramp.wav", np.linspace(-0.5, 0.5, 20_123))
    for style in ("bells", "drums"):
        for clip in ("one", "two"):
            write(home / f"data/style/{style}/{clip}.wav", rng.uniform(-0.8, 0.8, RATE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOY_LOG", str(home / "calls"))
        patch.setenv("BENCH_CACHE", str(home / "cache"))
        bench("fit", "export", GAIN, "--style", bells(home), "--licence", "CC0-1.0",
              "--by", "A. Author", "-o", file(home))  # fmt: skip
    shutil.rmtree(home / "cache")
    return home


@pytest.fixture
def place(theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of all that, on a machine with an empty cache."""
    shutil.copytree(theirs, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "calls"))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "ours"))
    return tmp_path


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def bench(*words: str) -> None:
    here = () if words[0] == "run" or "--device" in words else ("--device", "cpu")
    profile = (
        ("--profile", "mini") if words[:2] == ("fit", "export") and "--run" not in words else ()
    )
    cli.main([*words, *here, *profile], standalone_mode=False)


def bells(place: Path) -> str:
    return str(place / "data/style/bells")


def file(place: Path) -> str:
    return str(place / "bells.safetensors")


def transfer(place: Path, *more: str, out: str = "o.wav") -> Path:
    content = str(place / "data/content/tone/ramp.wav")
    bench("transfer", "--content", content, "--level", "as-is", "-o", str(place / out), *more)
    return place / out


def test_a_file_says_what_decided_it_and_no_place_of_the_machine(place: Path, theirs: Path) -> None:
    origin = read_fit(Path(file(place))).origin
    clip = read_audio(place / "data/style/bells/one.wav")
    assert (origin.style, origin.text, origin.profile) == ("bells", "bells", "mini")
    assert (origin.licence, origin.made_by, origin.device_type) == ("CC0-1.0", "A. Author", "cpu")
    assert [one.name for one in origin.clips] == ["one.wav", "two.wav"]
    assert origin.clips[0].heard_sha256 == clip.digest
    assert (origin.method, origin.parameters) == ("toys.py:Gain", {"offset": 0.0})
    assert str(theirs) not in Path(file(place)).read_bytes().decode(errors="replace")


def test_an_imported_fit_saves_the_learning(place: Path) -> None:
    assert fits(place) == 1
    bench("fit", "import", file(place), "--method", GAIN)
    first = transfer(place, "--method", GAIN, "--style", bells(place), "--profile", "mini")
    assert fits(place) == 1
    shutil.rmtree(place / "ours")
    again = transfer(place, "--method", GAIN, "--style", bells(place), "--profile", "mini",
                     out="again.wav")  # fmt: skip
    assert fits(place) == 2
    assert read_audio(first).digest == read_audio(again).digest


def test_a_transfer_takes_a_file_without_any_clips(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learnt = transfer(place, "--method", GAIN, "--style", bells(place), "--profile", "mini")
    before = fits(place)
    shutil.rmtree(place / "data/style")
    capsys.readouterr()
    made = transfer(place, "--fit", file(place), "--method", GAIN, out="made.wav")
    assert fits(place) == before
    assert read_audio(made).digest == read_audio(learnt).digest
    assert "(style fit from the file, " in capsys.readouterr().out
    softer = transfer(place, "--fit", file(place), "--method", f"{GAIN}[gain=0.25]", out="half.wav")
    assert read_audio(softer).mono == pytest.approx(0.5 * read_audio(made).mono, abs=2.0**-15)


def test_the_fit_of_a_run_is_exported_as_the_run_learnt_it(place: Path) -> None:
    """By the run's own split of the clips, from its cache, under the licence of its data set."""
    run(place)
    before, label = fits(place), f"{GAIN}[gain=0.25]"
    words = [
        "fit",
        "export",
        label,
        "--run",
        str(place / "run"),
        "-o",
        str(place / "r.safetensors"),
    ]
    bench(*words, "--style", "bells")
    assert fits(place) == before
    found = read_fit(place / "r.safetensors")
    assert len(found.origin.clips) == 1  # the other is held out
    clip = read_audio(place / f"data/style/bells/{found.origin.clips[0].name}")
    assert found.state.arrays["level"] == np.abs(clip.waveform).max()
    with pytest.raises(UnknownNameError, match=r"has no style 'bell'; it has bells, drums"):
        bench(*words, "--style", "bell")
    write(place / f"data/style/bells/{found.origin.clips[0].name}", np.full(RATE, 0.3))
    with pytest.raises(RecordError, match="learnt 'bells' with other clips"):
        bench(*words, "--style", "bells")


def test_a_run_whose_cache_is_gone_says_where_it_was(place: Path) -> None:
    run(place)
    shutil.rmtree(place / "ours")
    with pytest.raises(RecordError, match=r"is not in the cache .*BENCH_CACHE"):
        bench("fit", "export", f"{GAIN}[gain=0.25]", "--run", str(place / "run"), "--style",
              "bells", "-o", str(place / "r.safetensors"))  # fmt: skip


def altered(place: Path, *, seal: bool, **changes: object) -> str:
    """The file with changes to its origin or arrays; sealed with a new digest, or not."""
    path = file(place)
    with safe_open(path, "numpy") as opened:
        words = dict(opened.metadata())
    arrays = load_file(path)
    if "level" in changes:
        arrays["level"] = np.array(changes.pop("level"), np.float32)
    words["origin"] = json.dumps({**json.loads(words["origin"]), **changes})
    if seal:
        del words["sha256"]
        words["sha256"] = state_checksum(words, arrays)
    save_file(arrays, place / "altered.safetensors", words)
    return str(place / "altered.safetensors")


@pytest.mark.parametrize(
    ("changes", "seal", "message"),
    [
        ({"level": [0.5]}, False, "altered after it was written"),
        ({"licence": "mine"}, False, "altered after it was written"),
        ({"level": [np.nan]}, True, "numbers in 'level' that are NaN or infinite"),
        ({"level": [np.inf]}, True, "numbers in 'level' that are NaN or infinite"),
        ({"seed": "x"}, True, "its origin has seed"),
        ({"more": 1}, True, "its origin has more"),
        ({"profile": "huge"}, True, "its origin has profile"),
        ({"source": "0" * 64}, True, r"another code of .*000000000000, here .*--anyway"),
        ({"version": "7"}, True, r"another version of .*\(7, here 1\)"),
        ({"weights": {"w": "1" * 64}}, True, r"another checkpoint w \(111111111111, here none\)"),
        ({"method": "tve"}, True, "means nothing to another"),
        ({"parameters": {"steps": 3}}, True, "steps"),
    ],
    ids=str,
)
@pytest.mark.parametrize("command", ["import", "transfer"])
def test_what_is_not_as_it_was_is_refused(
    place: Path, changes: dict[str, object], seal: bool, message: str, command: str
) -> None:
    path = altered(place, seal=seal, **changes)
    before = sorted((place / "ours").rglob("*"))
    content, out = str(place / "data/content/tone/ramp.wav"), str(place / "o.wav")
    words = {"import": ["fit", "import", path], "transfer": ["transfer", "--fit", path]}[command]
    more = [] if command == "import" else ["--content", content, "-o", out]
    with pytest.raises(BenchError, match=message):
        bench(*words, "--method", GAIN, *more)
    assert sorted((place / "ours").rglob("*")) == before
    assert not (place / "o.wav").exists()


def test_a_fit_of_other_code_is_taken_where_it_is_wanted_anyway(place: Path) -> None:
    path = altered(place, seal=True, source="0" * 64)
    bench("fit", "import", path, "--anyway", "--method", GAIN)
    transfer(place, "--method", GAIN, "--style", bells(place), "--profile", "mini")
    assert fits(place) == 1
    transfer(place, "--fit", path, "--anyway", "--method", GAIN, out="p.wav")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short"),
        (b"not a file of this kind at all", "cut short"),
        ((1 << 60).to_bytes(8, "little") + b"{}", "cut short"),
        ((2).to_bytes(8, "little") + b"{}", "does not say that it is a"),
        ((2).to_bytes(8, "little") + b"[]", "does not say that it is a"),
        ((4).to_bytes(8, "little") + b"\xff\xff{}", "cannot be read"),
        ((40_000).to_bytes(8, "little") + b"[" * 40_000, "cannot be read"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        read_fit(path)


def test_a_file_that_was_cut_at_any_place_is_refused(place: Path) -> None:
    data = Path(file(place)).read_bytes()
    short = place / "short.safetensors"
    for end in range(0, len(data), 37):
        short.write_bytes(data[:end])
        with pytest.raises(ConfigError, match=f"fit {re.escape(str(short))} cannot be read"):
            read_fit(short)


def test_a_file_that_is_too_large_is_not_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_files, "MOST_FIT_BYTES", 100)
    with pytest.raises(ConfigError, match=r"has \d+ bytes; a file of a fit has at most 100"):
        read_fit(Path(file(place)))


def test_what_could_not_be_read_again_is_not_written(place: Path) -> None:
    origin: Origin = read_fit(Path(file(place))).origin
    state = StyleState({"level": np.array([np.inf])})
    with pytest.raises(ConfigError, match="holds numbers in 'level' that are NaN"):
        write_fit(place / "n.safetensors", FitFile(origin, state))
    assert not (place / "n.safetensors").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--style", "x"], "holds a style; --style names another"),
        (["--text", "x"], "holds a style; --text names another"),
        (["--method", "copy-content"], "means nothing to another"),
        (["--profile", "full"], "learnt in the profile mini"),
    ],
)
def test_what_a_fit_says_already_is_not_said_again(
    place: Path, more: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        transfer(place, "--fit", file(place), "--method", GAIN, *more)


def test_an_export_is_named_as_what_it_is(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"Name it b\.safetensors"):
        bench("fit", "export", GAIN, "--style", bells(place), "-o", str(place / "b.bin"))


def test_fit_parameters_are_those_of_the_file(place: Path) -> None:
    """A parameter of the fit cannot be set to another value, and is taken from the file unsaid."""
    path = str(place / "tuned.safetensors")
    bench("fit", "export", f"{GAIN}[offset=0.5]", "--style", bells(place), "-o", path)
    assert read_fit(Path(path)).origin.parameters == {"offset": 0.5}
    with pytest.raises(ConfigError, match=r"was learnt with offset=0\.5, and --method says 0\.25"):
        transfer(place, "--fit", path, "--method", f"{GAIN}[offset=0.25]")
    transfer(place, "--fit", path, "--method", GAIN)


def test_a_method_of_the_catalog_needs_no_name(place: Path) -> None:
    path = str(place / "eq.safetensors")
    bench("fit", "export", "eq-match", "--style", bells(place), "-o", path)
    bench("fit", "import", path)
    assert transfer(place, "--fit", path).is_file()


def test_a_method_in_a_file_is_named_where_its_fit_is_used(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"is of toys\.py:Gain, which lies somewhere.*--method"):
        bench("fit", "import", file(place))


def test_the_cache_key_of_a_file_is_that_of_learning_it_here(place: Path) -> None:
    """The only entry that a transfer leaves has the name that the import gave."""
    bench("fit", "import", file(place), "--method", GAIN)
    imported = {path.name for path in (place / "ours/fits").rglob("*.safetensors")}
    shutil.rmtree(place / "ours")
    transfer(place, "--method", GAIN, "--style", bells(place), "--profile", "mini")
    learnt = {path.name for path in (place / "ours/fits").rglob("*.safetensors")}
    assert len(imported) == 1
    assert imported == learnt
    (name,) = learnt
    assert Cache(place / "ours").load_state(name.removesuffix(".safetensors")) is not None
    assert isinstance(read_audio(place / "o.wav"), Audio)
