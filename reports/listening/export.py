"""Write a listening test: a static folder for listeners, and its key in the run folder."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np

from bench.api import Audio, ConfigError
from bench.audio import read_audio, resample, write_audio
from bench.files import renewed_folder, replace_file, require_plain
from bench.loudness import matched
from bench.records.store import Run, load_run
from reports import sounds
from reports.listening import foreign
from reports.listening.design import MARKS, QUESTIONS, TITLES, WORDS, RatedSet, choose_sets
from reports.listening.records import FOLDER, BlindKey, KeyItem, KeySet
from reports.text.html import render

ASSETS = Path(__file__).with_name("assets")
SAMPLE_RATE = 44_100  # Hz; what every browser and every test tool plays
FADE_S = 0.02
LEAST_BIT = 2.0**-15  # of 16 bits
WRITTEN_AT_S = 946_684_800  # of every file: the year 2000, which every archive can hold


class PublicSet(TypedDict):
    """One set as listeners get it, with file names that mean nothing."""

    id: str
    content: str
    style: str
    items: list[str]


@dataclass(frozen=True, slots=True)
class Exported:
    """Where a test was written, its size, and what the user must know about it."""

    folder: Path
    key: Path
    sets: int
    clips: int
    notice: str


def export(
    run_folder: Path, out: Path, sets: int, seed: int, methods: Sequence[str] = ()
) -> Exported:
    """Write the test: its page, its sounds, and configurations for webMUSHRA and BeaqleJS.

    Sounds are WAV at 44.1 kHz and 16 bit, equally loud, faded in and out over 20 ms, with names
    that tell nothing. Each has noise of its own in the least bit, so that no two files are the same
    and a hidden copy cannot be told by its bytes. Files are written in the order of their names and
    have one time. The same seed chooses the same sets; names and noise are new each time.

    Args:
        run_folder: The run; its folder `listening/` gets the key.
        out: The folder for listeners; it must be new or empty.
        sets: How many sets.
        seed: Decides which.
        methods: Labels of the methods; by default all that are not controls.

    Raises:
        ConfigError: `out` is not empty.
        LinkError: `out` is a symbolic link, or one stands in the way of the key.
        BenchError: The run does not allow such a test, or its audio is not in its folder.
    """
    require_plain(out)
    if out.exists() and any(out.iterdir()):
        raise ConfigError(f"{out} is not empty; a test gets a folder of its own. Choose another.")
    run = load_run(run_folder)
    chosen = choose_sets(run, sets, seed, methods)
    secret = secrets.token_bytes(32)
    public, key = _blind(run, chosen, seed, secret)
    path = run_folder / FOLDER / f"{key.test}.key.json"
    with renewed_folder(out) as fresh:
        _write_sounds(run_folder, fresh / "sounds", chosen, secret)
        _write_page(fresh, key.test, public)
        replace_file(fresh / "webmushra.yaml", foreign.webmushra(key.test, public))
        replace_file(fresh / "beaqlejs-config.js", foreign.beaqle(key.test, public))
        replace_file(fresh / "README.txt", foreign.INSTRUCTIONS)
        replace_file(path, key.model_dump_json(indent=1), root=run_folder)
        _set_times(fresh)
    clips = sum(len(one["items"]) for one in public)
    return Exported(out, path, len(public), clips, "" if sounds.with_inputs(run) else _licence(run))


def _licence(run: Run) -> str:
    dataset = run.header.dataset
    return (
        f"dataset {dataset.get('name')} may not be redistributed ({dataset.get('licence')}): let "
        "people listen on your own machines, and do not publish this folder."
    )


def token(secret: bytes, *parts: str) -> str:
    """A name that tells nothing without the secret."""
    text = json.dumps(parts).encode()
    return hmac.new(secret, text, hashlib.sha256).hexdigest()[:12]


def _blind(
    run: Run, chosen: Sequence[RatedSet], seed: int, secret: bytes
) -> tuple[list[PublicSet], BlindKey]:
    """The sets with tokens for names, in the order of the tokens, and the key to them."""
    public: list[PublicSet] = []
    sets = {}
    for one in chosen:
        name = token(secret, "set", one.style, one.content, str(one.repetition))
        items = {
            token(secret, "item", s.cell_id): KeyItem(
                method=s.method, cell_id=s.cell_id, check=s.check
            )
            for s in one.stimuli
        }
        sets[name] = KeySet(
            style=one.style, content=one.content, repetition=one.repetition, items=items
        )
        references = (token(secret, "reference", p) for p in (one.content_path, one.style_path))
        content, style = references
        public.append(PublicSet(id=name, content=content, style=style, items=sorted(items)))
    key = BlindKey(test=token(secret, "test"), run_id=run.header.run_id, seed=seed, sets=sets)
    return sorted(public, key=lambda one: one["id"]), key


def _write_sounds(run_folder: Path, out: Path, chosen: Sequence[RatedSet], secret: bytes) -> None:
    sources = {}
    for one in chosen:
        for path in (one.content_path, one.style_path):
            sources[token(secret, "reference", path)] = path
        sources |= {token(secret, "item", s.cell_id): s.path for s in one.stimuli}
    for name, path in sorted(sources.items()):  # an order that tells nothing either
        source = read_audio(sounds.sound_file([run_folder], path))
        audio = faded(matched(resample(source, SAMPLE_RATE)))
        seed = int(token(secret, "noise", name), 16)
        write_audio(out / f"{name}.wav", with_least_noise(audio, seed), "PCM_16")


def with_least_noise(audio: Audio, seed: int) -> Audio:
    """The sound with -1, 0 or 1 least bit of 16 added to each sample, within full scale."""
    steps = np.random.default_rng(seed).integers(-1, 2, audio.waveform.shape)
    noisy = audio.waveform + steps.astype(np.float32) * np.float32(LEAST_BIT)
    return Audio(np.clip(noisy, -1.0, 1.0), audio.sample_rate)


def _set_times(folder: Path) -> None:
    """Give every file one time: the times of writing would tell which sounds belong together."""
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (WRITTEN_AT_S, WRITTEN_AT_S))


def faded(audio: Audio) -> Audio:
    """The sound with its beginning and end faded, so that a cut does not click."""
    size = min(round(FADE_S * audio.sample_rate), audio.num_samples // 2)
    ramp = (0.5 - 0.5 * np.cos(np.pi * np.arange(size) / max(size, 1))).astype(np.float32)
    envelope = np.ones(audio.num_samples, np.float32)
    envelope[:size], envelope[audio.num_samples - size :] = ramp, ramp[::-1]
    return Audio(audio.waveform * envelope, audio.sample_rate)


def _write_page(out: Path, test: str, public: Sequence[PublicSet]) -> None:
    questions = [(name, TITLES[name], WORDS[name]) for name in QUESTIONS]
    values = {"test": test, "sets": public, "questions": questions, "marks": MARKS}
    page = render(ASSETS / "listen.html.j2", values)
    replace_file(out / "index.html", page)
    for name in ("listen.css", "listen.js"):
        replace_file(out / name, (ASSETS / name).read_bytes())
