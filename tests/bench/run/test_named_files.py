"""A file that parameters name is part of what was rendered: another file, another result."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from small_run import Small, command

from bench.api import ConfigError
from bench.audio import read_audio
from bench.run.request import RunRequest, prepare

METHOD = '''
"""Scales the content by what stands in a file for its style."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.api import Audio, MethodInfo, StyleState, StyleTransferMethod


@dataclass(frozen=True)
class Named:
    table: str = field(default="", metadata={"role": "fit", "file": True})


class Scaled(StyleTransferMethod[Named]):
    INFO = MethodInfo("Scaled", ("style audio", "content audio"), True, "a test")

    def load(self, profile, device):
        pass

    def fit(self, requests, progress):
        return [StyleState({"gain": self.read(one)}) for one in requests]

    def read(self, request):
        path = request.parameters.table.replace("{style}", request.style.id)
        return np.array([float(Path(path).read_text())])

    def transfer(self, requests):
        return [self.render(one.content.audio, one.state.arrays["gain"]) for one in requests]

    def render(self, audio, gain):
        return Audio((audio.waveform * gain).astype(np.float32), audio.sample_rate)
'''


@pytest.fixture
def scaled(finished: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """A place for runs of such a method over two styles."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "small.toml").write_text((finished.home / "small.toml").read_text())
    (tmp_path / "scaled.py").write_text(METHOD)
    return Small(tmp_path)


def method(home: Path) -> str:
    return f"{home}/scaled.py:Scaled[table={home}/{{style}}.txt]"


def write(home: Path, **gains: float) -> None:
    for style, gain in gains.items():
        (home / f"{style}.txt").write_text(str(gain))


def peaks(made: Small) -> dict[str, float]:
    """The largest amplitude of the first content in each style."""
    run = made.load()
    return {
        cell.style: float(np.abs(read_audio(made.folder / str(record.audio)).waveform).max())
        for cell in run.plan
        if cell.content == run.plan[0].content
        for record in [run.cells[cell.cell_id]]
    }


def test_another_file_under_the_same_name_is_rendered_anew(
    scaled: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    write(scaled.home, hiss=1.0, rush=1.0)
    assert scaled.run("--methods", method(scaled.home)) == 0
    first = peaks(scaled)
    write(scaled.home, rush=0.5)
    capsys.readouterr()
    assert scaled.run("--methods", method(scaled.home)) == 0
    assert "has changed (files) since 4 of its cells in" in capsys.readouterr().out
    assert peaks(scaled) == pytest.approx({"hiss": first["hiss"], "rush": first["rush"] / 2})
    # The same files again are found in the cache by what stands in them, wherever they lie.
    write(scaled.home, rush=1.0)
    assert scaled.run("--methods", method(scaled.home)) == 0
    assert peaks(scaled) == first


@pytest.mark.parametrize("text", ["tve[checkpoint={},trust_checkpoint=true]", "outside"])
def test_a_file_that_is_not_there_is_named_before_anything_is_rendered(
    scaled: Small, text: str
) -> None:
    write(scaled.home, hiss=1.0)
    named = f"{scaled.home}/{{style}}.txt"
    chosen = method(scaled.home) if text == "outside" else text.format(named)
    told = f"names {scaled.home}/rush.txt for style 'rush', which is not a file"
    with pytest.raises(ConfigError, match=told):
        scaled.run("--methods", chosen)
    assert not scaled.folder.exists()


def test_a_released_style_is_part_of_the_identity_of_tve(scaled: Small) -> None:
    def mark() -> str:
        named = f"tve[checkpoint={scaled.home}/{{style}}.txt,trust_checkpoint=true]"
        asked = RunRequest(suite=str(scaled.home / "small.toml"), methods=named, out=scaled.folder)
        return prepare(asked).marks[named]

    write(scaled.home, hiss=1.0, rush=1.0)
    first = mark()
    assert mark() == first
    write(scaled.home, rush=2.0)
    second = mark()
    write(scaled.home, hiss=2.0)
    assert len({first, second, mark()}) == 3


def test_a_single_sound_is_made_of_the_file_that_is_there(finished: Small, scaled: Small) -> None:
    data, out = finished.home / "data", scaled.home / "o.wav"
    (content,), loud = (data / "content" / "low").glob("l1.*"), []
    for gain in (1.0, 0.5):
        write(scaled.home, hiss=gain)
        asked = ["transfer", "--method", method(scaled.home), "--content", str(content)]
        asked += ["--style", str(data / "style" / "hiss"), "--level", "as-is", "-o", str(out)]
        assert command(*asked) == 0
        loud.append(float(np.abs(read_audio(out).waveform).max()))
        out.unlink()
    assert loud[1] == pytest.approx(loud[0] / 2, rel=1e-3)  # 24 bits


def test_a_fit_that_was_learnt_from_a_file_needs_it_no_more(finished: Small, scaled: Small) -> None:
    data, fit, out = (finished.home / "data", scaled.home / "f.safetensors", scaled.home / "o.wav")
    (content,) = (data / "content" / "low").glob("l1.*")
    write(scaled.home, hiss=1.0)
    asked = ["fit", "export", method(scaled.home), "--style", str(data / "style" / "hiss")]
    assert command(*asked, "-o", str(fit)) == 0
    (scaled.home / "hiss.txt").unlink()
    with pytest.raises(ConfigError, match=r"hiss\.txt for style 'hiss', which is not a file"):
        command(*asked, "-o", str(fit.with_name("g.safetensors")))
    chosen = ["--fit", str(fit), "--method", method(scaled.home)]
    assert command("transfer", *chosen, "--content", str(content), "-o", str(out)) == 0
    assert out.exists()
