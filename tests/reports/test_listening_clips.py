"""The sounds of a listening test, and the addresses that its page names."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

sys.path.insert(0, str(Path(__file__).parent))

from sounding import sounding_run

from bench.api import Audio, ConfigError
from bench.audio import read_audio
from bench.loudness import loudness
from reports.listening import clips
from reports.listening.export import Audience, Exported, export
from reports.listening.handing_in import HandIn, require_addresses, source_of
from reports.listening.page import collecting


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A test in Opus."""
    folder = tmp_path_factory.mktemp("opus")
    run = sounding_run(folder / "run", ("harp", "bird"), ("c1", "c2"))
    return export(run.folder, folder / "test", 2, 0, audience=Audience(form="opus"))


def test_opus_is_loud_and_long_as_wav_and_much_smaller(made: Exported) -> None:
    page = (made.folder / "index.html").read_text("utf-8")
    (text,) = re.findall(r'id="test">(.*?)</script>', page, re.DOTALL)
    facts = json.loads(text)
    assert facts["suffix"] == ".ogg"
    trials = {trial["sound"] for trial in facts["trials"]}
    sounds = sorted((made.folder / "sounds").iterdir())
    assert len(sounds) == 3 + 2 * 8 + 5  # trials, sets of two references, practice
    for path in sounds:
        audio = read_audio(path)
        assert audio.sample_rate == 48_000
        assert loudness(audio) == pytest.approx(-23, abs=0.3)
        if path.stem not in trials:
            assert audio.duration_s == pytest.approx(2.0, abs=0.01)
            assert path.stat().st_size < 2 * 44_100 * 2 / 4
    assert len({path.read_bytes() for path in sounds}) == len(sounds)


def test_opus_keeps_the_spectrum_of_music_up_to_where_people_hear() -> None:
    """The level of noise in no octave moves by 1 dB."""
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 96_000)).astype(np.float32)
    decoded, rate = soundfile.read(io.BytesIO(clips.opus(Audio(noise, 48_000), 10)))
    assert (rate, decoded.shape) == (48_000, (96_000, 2))
    powers = [np.abs(np.fft.rfft(one, axis=-1)) ** 2 for one in (noise, decoded.T)]
    hertz = np.fft.rfftfreq(96_000, 1 / 48_000)
    for low in (125, 250, 500, 1000, 2000, 4000, 8000):
        band = (hertz >= low) & (hertz < 2 * low)
        before, after = (power[:, band].sum() for power in powers)
        assert abs(10 * np.log10(after / before)) < 1.0


def test_the_size_of_an_opus_file_does_not_tell_what_it_copies() -> None:
    """A copy of its original has a size as unlike as that of any other clip."""
    tone = np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000, dtype=np.float32)[None] / 10
    sizes = [len(clips.opus(Audio(tone, 48_000), padding)) for padding in (1, 1000, 4000)]
    assert sizes == sorted(sizes)
    noise = np.random.default_rng(0).normal(0, 0.05, (1, 48_000)).astype(np.float32)
    other = len(clips.opus(Audio(noise, 48_000), 1))
    assert abs(other - sizes[0]) < sizes[2] - sizes[0]


@pytest.mark.parametrize("softest", [0, 1, 2])
@pytest.mark.parametrize("seed", [0, 1])
def test_of_three_tones_one_is_softer_and_one_cancels_in_the_air(softest: int, seed: int) -> None:
    audio = clips.three_tones(softest, 8000, seed)
    thirds = np.split(audio.waveform, 3, axis=1)
    levels = [float(np.abs(third).max()) for third in thirds]
    assert levels.index(min(levels)) == softest
    assert min(levels) == pytest.approx(max(levels) / 2, rel=1e-3)
    summed = [float(np.abs(third.sum(axis=0)).max()) for third in thirds]
    assert [place for place, level in enumerate(summed) if level < 1e-6] == [
        [place for place in range(3) if place != softest][seed]
    ]


@pytest.mark.parametrize(
    "address",
    ["http://forms.example.org/", "ftp://example.org/", "//example.org", "javascript:alert(1)",
     "https://", "https://a b.org/", "https://example.org/;script-src *", "https://a.org/,b",
     "https://a.org/;b",
     "https://user:word@example.org/", "https://example.org/'unsafe-inline'", "https://a.org:x/",
     'https://a.org/"><script>', "https://ex\u00e4mple.org/", "https://a.org/" + "x" * 2000],
)  # fmt: skip
def test_an_address_that_could_widen_the_policy_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"--post ['\"].* is no address for a page"):
        require_addresses(HandIn(post=address))
    with pytest.raises(ConfigError, match=r"--completion-url ['\"].* is no address"):
        require_addresses(HandIn(code_url=address))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (HandIn(email="nobody"), "is no plain mail address"),
        (HandIn(email="a@b.org?bcc=c@d.org"), "is no plain mail address"),
        (HandIn(code="x" * 65), "is no code"),
        (HandIn(code="a\nb"), "is no code"),
    ],
)
def test_odd_mail_addresses_and_codes_are_refused(given: HandIn, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_addresses(given)


def test_usual_addresses_are_taken_and_their_query_is_no_part_of_the_policy() -> None:
    for address in ("https://forms.example.org/f?id=7&x=y#z", "http://127.0.0.1:8000/ratings",
                    "http://[::1]:9/", "http://localhost/r", "https://example.org"):  # fmt: skip
        require_addresses(HandIn(address, "a.b@example.org", "C0-FFEE", address))
    assert source_of("https://example.org") == "https://example.org/"
    assert source_of("https://example.org/a?b=c;d") == "https://example.org/a"


def test_a_page_connects_nowhere_unless_told_and_a_collector_to_itself(made: Exported) -> None:
    page = (made.folder / "index.html").read_text("utf-8")
    assert "connect-src &#39;none&#39;; form-action 'none'" in page
    served = collecting(page)
    assert "connect-src 'self'; form-action 'none'" in served
    assert len(served.splitlines()) == len(page.splitlines())
