"""One content in one style: formats, lengths, the shared fit, and what is refused beforehand."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))

from toy_run import TOYS, fits, run

from bench.api import Audio, BenchError, ConfigError, ContentError, DatasetError, UnsupportedError
from bench.audio import read_audio
from bench.cli.main import cli
from bench.loudness import loudness
from bench.records.store import load_run
from bench.transfer.channels import at_level

RATE, SAMPLES = 16_000, 20_123


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of one content and two styles, a private cache and a log of calls."""
    rng = np.random.default_rng(0)
    write(tmp_path / "data/content/tone/ramp.wav", np.linspace(-0.5, 0.5, SAMPLES))
    for style in ("bells", "drums"):
        write(tmp_path / f"data/style/{style}/one.wav", rng.uniform(-0.8, 0.8, RATE))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "calls"))
    return tmp_path


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="FLOAT")


def transfer(place: Path, *more: str, method: str = "Gain[gain=0.25]", out: str = "o.wav") -> Path:
    """Render the ramp in the style of the bells; `more` comes last and wins."""
    words = ["transfer", "--device", "cpu", "-o", str(place / out)]
    words += ["--method", method if ":" in method or "-" in method else f"{TOYS}:{method}"]
    words += ["--content", str(place / "data/content/tone/ramp.wav")]
    if "--text" not in more:
        words += ["--style", str(place / "data/style/bells")]
    cli.main([*words, *more], standalone_mode=False)
    return place / out


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "WAV"])
def test_the_file_has_the_format_of_its_name_and_the_length_of_the_content(
    place: Path, suffix: str
) -> None:
    made = transfer(place, out=f"deep/er/o.{suffix}")
    head = soundfile.info(str(made))
    assert head.format == suffix.upper()
    assert (head.samplerate, head.frames, head.channels) == (RATE, SAMPLES, 1)


def test_the_named_part_of_a_long_content_is_rendered(place: Path) -> None:
    made = read_audio(
        transfer(place, "--start", "0.25", "--duration", "0.75", method="copy-content")
    )
    content = read_audio(place / "data/content/tone/ramp.wav")
    assert made.num_samples == 12_000
    difference = made.waveform - content.waveform[:, 4000:16_000]
    assert np.abs(difference).max() <= 2.0**-15


def stereo(place: Path, left: np.ndarray, right: np.ndarray) -> list[str]:
    write(place / "stereo.wav", np.stack([left, right], axis=1))
    return ["--content", str(place / "stereo.wav")]


def noise(seed: int, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(RATE).clip(-4, 4)


def test_a_method_that_hears_the_mean_gives_a_mono_file_and_says_so_before(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = noise(0)
    made = read_audio(transfer(place, *stereo(place, left, np.zeros(RATE)), "--level", "as-is"))
    level = np.abs(made.mono).max() / np.abs(left / 2).max()  # the toy's gain
    assert made.waveform.shape == (1, RATE)
    assert np.abs(made.mono - level * left / 2).max() <= 2 * 2.0**-15
    said = capsys.readouterr()
    assert (
        "Gain[gain=0.25] hears the mean of the content's 2 channels; the output is mono"
        in (said.err.partition("[  0%]")[0])
    )
    assert "16000 Hz, mono (" in said.out


def test_stereo_in_gives_stereo_out_where_the_method_can(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, right = noise(0), noise(1, 0.03)
    made = read_audio(transfer(place, *stereo(place, left, right), method="copy-content"))
    assert made.waveform.shape == (2, RATE)
    assert np.abs(made.waveform - np.stack([left, right])).max() <= 2.0**-15
    said = capsys.readouterr()
    assert "mean" not in said.err
    assert "16000 Hz, stereo (" in said.out


DRAWING = """
import numpy as np
from bench.api import Audio, MethodInfo, NoParameters, StyleState, StyleTransferMethod


class Drawing(StyleTransferMethod[NoParameters]):
    INFO = MethodInfo("D", ("content audio",), False, "a test", channels="each")

    def load(self, profile, device):
        pass

    def fit(self, requests, progress):
        return [StyleState() for _ in requests]

    def transfer(self, requests):
        return [
            self.made(one.content.audio, [one.seed, one.content_seed]) for one in requests
        ]

    def made(self, audio, seeds):
        drawn = 0.1 * np.random.default_rng(seeds).standard_normal(audio.num_samples)
        return Audio((audio.waveform + drawn).astype(np.float32), audio.sample_rate)
"""


def test_both_channels_are_rendered_from_the_same_draws(place: Path) -> None:
    """The toy adds what it draws: the same to both channels, and equal channels stay equal."""
    (place / "drawing.py").write_text(DRAWING, encoding="utf-8")
    method, as_is = f"{place / 'drawing.py'}:Drawing", ("--level", "as-is")
    both = [noise(0), noise(1)]
    made = read_audio(transfer(place, *stereo(place, *both), *as_is, method=method)).waveform
    drawn = made - np.stack(both)
    assert drawn.std() == pytest.approx(0.1, rel=0.05)
    assert np.abs(drawn[0] - drawn[1]).max() <= 4 * 2.0**-15  # 16 bits each, between the two
    alike = read_audio(transfer(place, *stereo(place, both[0], both[0]), *as_is, method=method))
    assert np.array_equal(*alike.waveform)


def test_a_silent_channel_stays_silent(place: Path) -> None:
    (place / "drawing.py").write_text(DRAWING, encoding="utf-8")
    pair = stereo(place, np.zeros(RATE), noise(0))
    made = read_audio(transfer(place, *pair, method=f"{place / 'drawing.py'}:Drawing")).waveform
    assert not made[0].any()
    assert made[1].std() > 0.05


def test_a_fit_serves_every_content_and_transfer_parameter(place: Path) -> None:
    transfer(place)
    write(place / "other.wav", np.full(9000, 0.1))
    transfer(place, "--content", str(place / "other.wav"), method="Gain[gain=0.5]")
    assert fits(place) == 1


def test_another_seed_is_another_fit(place: Path) -> None:
    transfer(place)
    transfer(place, "--seed", "1")
    assert fits(place) == 2


def test_a_run_and_a_transfer_share_fits_and_make_the_same_sound(place: Path) -> None:
    run(place, 'style_clips = "all"')
    before = fits(place)
    made = transfer(place, "--level", "as-is", out="o.flac")
    assert fits(place) == before == 2
    done = load_run(place / "run")
    (cell,) = (cell for cell in done.plan if cell.style == "bells")
    assert read_audio(made).digest == done.cells[cell.cell_id].audio_digest


def test_one_clip_is_a_style_too(place: Path) -> None:
    transfer(place, "--style", str(place / "data/style/bells/one.wav"))
    assert "fit one" in (place / "calls").read_text(encoding="utf-8").split("\n")


def test_the_terminal_is_told_where_it_went_and_what_it_cost(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transfer(place)
    shown = capsys.readouterr()
    assert f"wrote {place / 'o.wav'}: 1.26 s, 16000 Hz, mono (style fit 0" in shown.out
    assert "in the style 'bells'" in shown.err
    assert "[  0%]" in shown.err
    transfer(place)
    assert "(style fit from the cache, sound from the cache)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "method", "out", "error", "message"),
    [
        ([], "Gain", "o.aac", ConfigError, r"suffix '\.aac'.*\.wav, .*Name it o\.wav"),
        ([], "Gain", "o", ConfigError, r"suffix ''.*Name it o\.wav"),
        ([], "Gain", "data", ConfigError, r"is a folder; a file is wanted"),
        ([], "Gain", "data/content/tone/ramp.wav", ConfigError, r"one of the inputs"),
        ([], "Gain", "data/style/bells/new.wav", ConfigError, r"among the clips of the style"),
        ([], "Gain[gain=0.3|0.5]", "o.wav", ConfigError, r"names 2; .*exactly one.*gain=0\.3"),
        (["--text", "bells"], "Gain", "o.wav", ConfigError, r"--style is missing"),
        (["--style", "nowhere"], "Gain", "o.wav", DatasetError, r"nowhere does not exist"),
        (
            ["--content", "nowhere.wav"],
            "Gain",
            "o.wav",
            DatasetError,
            r"nowhere\.wav is not a file",
        ),
        (["--start", "9"], "Gain", "o.wav", DatasetError, r"gives 0\.000 s from 9 s on"),
    ],
)
def test_what_cannot_work_is_refused_before_the_work(
    place: Path, more: list[str], method: str, out: str, error: type[BenchError], message: str
) -> None:
    with pytest.raises(error, match=message):
        transfer(place, *more, method=method, out=out)
    assert fits(place) == 0


def test_a_content_beyond_the_longest_names_the_option_that_cuts_it(place: Path) -> None:
    write(place / "long.wav", np.tile(noise(0), 301))
    with pytest.raises(ContentError, match=r"301\.00 s.*--duration 300"):
        transfer(
            place, "--content", str(place / "long.wav"), "--method", "null", method="copy-content"
        )


def test_a_folder_of_styles_is_pointed_to_one_of_them(place: Path) -> None:
    with pytest.raises(DatasetError, match=r"one style is needed\. Name one, such as .*bells"):
        transfer(place, "--style", str(place / "data"))
    (place / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty holds no audio .* at least one clip"):
        transfer(place, "--style", str(place / "empty"))


def test_mp3_at_a_rate_it_lacks_names_wav(place: Path) -> None:
    write(place / "odd.wav", np.zeros(20_000), 19_999)
    with pytest.raises(ConfigError, match=r"no rate of 19999 Hz.*o\.wav"):
        transfer(place, "--content", str(place / "odd.wav"), out="o.mp3")


def test_text_for_a_method_that_ignores_it_is_refused(place: Path) -> None:
    style = ["--style", str(place / "data/style/bells")]
    with pytest.raises(ConfigError, match=r"no text; --text 'church' would change nothing"):
        transfer(place, *style, "--text", "church")


def test_an_output_beyond_full_scale_is_not_clipped(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loud, as_is = "Gain[gain=9.0]", ("--level", "as-is")
    with pytest.raises(ConfigError, match=r"beyond full scale.*Name it o\.wav.*takes no time"):
        transfer(place, *as_is, method=loud, out="o.flac")
    kept = read_audio(transfer(place, *as_is, method=loud))
    assert np.abs(kept.waveform).max() > 3.0
    assert "beyond full scale: an integer file would clip it" in capsys.readouterr().err


@pytest.mark.parametrize("gain", [0.05, 9.0])
def test_an_output_is_as_loud_as_its_content(place: Path, gain: float) -> None:
    content = read_audio(place / "data/content/tone/ramp.wav")
    made = read_audio(transfer(place, method=f"Gain[gain={gain}]", out="o.flac"))
    assert loudness(made) == pytest.approx(loudness(content), abs=0.01)  # steps of 16 bits


def test_what_is_softer_than_its_content_because_it_would_clip_says_so(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clicks are soft for their peak: they cannot be as loud as the noise."""
    (place / "clicks.py").write_text(
        DRAWING.replace("Drawing", "Clicks").replace(
            "(audio.waveform + drawn)", "(np.arange(audio.num_samples) % 4000 == 0)[None]"
        ),
        encoding="utf-8",
    )
    write(place / "loud.wav", noise(0, 0.2))
    made = read_audio(
        transfer(
            place,
            *("--content", str(place / "loud.wav")),
            method=f"{place / 'clicks.py'}:Clicks",
            out="o.flac",
        )
    )
    assert np.abs(made.waveform).max() == pytest.approx(1.0, abs=2.0**-15)
    assert "dB softer than the content: louder, its peaks would be" in capsys.readouterr().err


def test_an_output_that_is_as_loud_as_it_can_be_says_what_is_missing() -> None:
    """Its factor is 1, or beside it by a rounding: a note must not depend on which."""
    clicks = Audio((np.arange(RATE) % 4000 == 0)[None].astype(np.float32), RATE)
    for level in np.linspace(0.05, 0.2, 60):
        content = Audio(noise(0, level)[None].astype(np.float32), RATE)
        made, missing_db = at_level(clicks, content)
        assert missing_db == pytest.approx(loudness(content) - loudness(clicks), abs=1e-6)
        assert made.waveform.max() == pytest.approx(1.0)


def test_a_silent_output_ends_with_5_and_replaces_no_file(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "o.wav").write_bytes(b"kept")
    with pytest.raises(SystemExit, match="5"):
        transfer(place, method="Gain[gain=0.0005]")
    shown = capsys.readouterr()
    assert "wrote" not in shown.out
    assert (place / "o.wav").read_bytes() == b"kept"
    found = re.search(r"is silent \((-[\d.]+) dBFS; below -60 dBFS .*; it lies in (\S+)", shown.err)
    assert found is not None
    lies = read_audio(found[2])
    level = 20 * np.log10(np.sqrt(np.mean(lies.mono.astype(np.float64) ** 2)))
    assert float(found[1]) == pytest.approx(level, abs=0.06)
    shutil.rmtree(Path(found[2]).parent)


@pytest.mark.parametrize(
    ("right", "why"), [(0.0, r"\(below -60 dBFS\)"), (-1.0, "its channels cancel each other")]
)
def test_a_content_without_sound_is_refused(place: Path, right: float, why: str) -> None:
    left = noise(0) * (right != 0)
    with pytest.raises(DatasetError, match=rf"silent where it is to be heard.*{why}.*no music"):
        transfer(place, *stereo(place, left, right * left))
    assert fits(place) == 0


def test_a_piece_that_ends_before_the_duration_says_so(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    transfer(place, "--duration", "0:10")
    said = "warning: the content ends after 1.26 s; --duration asks for 10 s\n"
    assert said in capsys.readouterr().err
    transfer(place, "--duration", "1.2")
    assert "ends after" not in capsys.readouterr().err


def test_a_start_may_be_a_time_of_the_clock(place: Path) -> None:
    write(place / "minute.wav", np.concatenate([np.tile(noise(0), 61), noise(1)]))
    made = read_audio(
        transfer(
            place,
            *("--content", str(place / "minute.wav"), "--start", "1:01", "--duration", "0:00.5"),
            method="copy-content",
        )
    )
    assert np.abs(made.mono - noise(1)[: RATE // 2]).max() <= 2.0**-15


def test_a_declined_style_is_a_message(place: Path) -> None:
    style = place / "data/style/noise/one.wav"
    write(style, np.full(RATE, 0.1))
    with pytest.raises(UnsupportedError, match=r"Picky declines: text unknown to this model"):
        transfer(place, "--style", str(style.parent), method="Picky")


def test_a_method_that_breaks_ends_with_5_and_leaves_its_traceback(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(place / "low1.wav", noise(0))
    with pytest.raises(SystemExit, match="5"):
        transfer(place, "--content", str(place / "low1.wav"), method="Picky")
    shown = capsys.readouterr().err
    assert "failed (error): RuntimeError: this clip is cursed; its output is in " in shown
    assert not (place / "o.wav").exists()
    log = Path(shown.rpartition("is in ")[2].strip())
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_an_invalid_output_is_not_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place / "low2.wav", np.full(RATE, 0.1))
    with pytest.raises(SystemExit, match="5"):
        transfer(place, "--content", str(place / "low2.wav"), method="Picky")
    shown = capsys.readouterr().err
    assert shown.endswith("failed (invalid_output): output has NaN or infinite samples\n")
    assert not (place / "o.wav").exists()


@pytest.mark.weights
def test_words_alone_serve_a_method_that_is_given_words(place: Path) -> None:
    part = ("--duration", "0.5", "--text")
    made = read_audio(transfer(place, *part, "violin", "--method", "musicgen", method="Gain"))
    assert (made.sample_rate, made.num_samples) == (RATE, RATE // 2)
    with pytest.raises(UnsupportedError, match=r"musicgen declines: .*'zebra'.*violin"):
        transfer(place, *part, "zebra", "--method", "musicgen", method="Gain")


def test_a_piece_can_go_from_one_style_to_another(place: Path) -> None:
    to = ("--style-to", str(place / "data/style/drums"))
    ends = [
        read_audio(
            transfer(place, "--level", "as-is", *more, method="Gliding", out=f"{number}.wav")
        ).mono
        for number, more in enumerate([(), to, ("--style", to[1])])
    ]
    first, way, second = ends
    assert fits(place) == 2
    middle = SAMPLES // 2
    assert way[:middle] == pytest.approx(first[:middle])
    assert way[middle:] == pytest.approx(second[middle:])
    assert not np.allclose(first, second)


def test_a_method_without_a_way_between_styles_says_so(place: Path) -> None:
    with pytest.raises(UnsupportedError, match="Gain has no way from one style to another"):
        transfer(place, "--style-to", str(place / "data/style/drums"))


def test_a_style_cannot_go_to_itself(place: Path) -> None:
    with pytest.raises(ConfigError, match="are both 'bells'"):
        transfer(place, "--style-to", str(place / "data/style/bells"), method="Gliding")


def test_clips_that_cannot_be_used_are_left_out_with_a_warning(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sound is that of the folder without them."""
    folder = place / "data/style/bells"
    plain = read_audio(transfer(place)).digest
    write(folder / "rest.wav", np.zeros(RATE))
    (folder / "text.wav").write_text("not a sound", encoding="utf-8")
    capsys.readouterr()
    assert read_audio(transfer(place, out="again.wav")).digest == plain
    said = capsys.readouterr().err
    assert "warning: style 'bells' is used without 2 clips: text.wav cannot be decoded" in said
    assert "; rest.wav is silent (below -60 dBFS)" in said
    assert fits(place) == 1


@pytest.mark.parametrize("option", ["--style", "--style-to"])
@pytest.mark.parametrize("clip", ["", "/rest.wav"])
def test_a_style_without_a_clip_that_can_be_used_is_refused(
    place: Path, option: str, clip: str
) -> None:
    write(place / "quiet/rest.wav", np.zeros(RATE))
    message = (
        r"style '(quiet|rest)' has no clip that can be used: rest\.wav is silent \(below -60 dBFS\)"
        r"\. Name another"
    )
    with pytest.raises(DatasetError, match=message):
        transfer(place, option, f"{place / 'quiet'}{clip}", method="Gliding")
    assert fits(place) == 0


@pytest.mark.parametrize(
    ("peak", "words"),
    [(1.35, "its peak is 1.35, beyond full scale: an integer file would clip it"), (1.0, "")],
)
def test_a_peak_beyond_full_scale_is_said(
    place: Path, capsys: pytest.CaptureFixture[str], peak: float, words: str
) -> None:
    """The content is played as it is; at full scale exactly nothing is beyond it."""
    samples = np.linspace(-0.5, 0.5, SAMPLES)
    samples[100] = peak
    write(place / "data/content/tone/loud.wav", samples)
    loud = ("--content", str(place / "data/content/tone/loud.wav"))
    transfer(place, *loud, "--level", "as-is", method="copy-content")
    said = [line for line in capsys.readouterr().err.splitlines() if "full scale" in line]
    assert [line.endswith(words) for line in said] == ([True] if words else [])


def test_an_integer_file_is_refused_with_the_peak(place: Path) -> None:
    samples = np.linspace(-0.5, 0.5, SAMPLES)
    samples[100] = -2.5
    write(place / "data/content/tone/loud.wav", samples)
    loud = ("--content", str(place / "data/content/tone/loud.wav"))
    with pytest.raises(ConfigError, match=r"its peak is 2\.5, beyond full scale, which"):
        transfer(place, *loud, method="copy-content", out="o.flac")
