"""The training clips of the mini CLAP model: how they are rendered, described, and seen.

Every clip passes the preprocessing that the scores use (`metrics.clap.preprocess`) and the same
feature extractor. Part of the clips is also heard through a mel spectrogram and Griffin-Lim
phases. The methods under comparison make their sounds in this way, and a model that never heard
its hiss takes it for a change of instrument.

**Conventions**: features are float16 (clip, frame, mel) in dB; one shard per round, and in a round
every sound occurs once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import ClapFeatureExtractor

from bench.api import Audio, ConfigError
from bench.corpus.melodies import HELD_OUT_TUNES, TRAINING_TUNES, Melody, random_melody, tune_melody
from bench.corpus.rendering import INSTRUMENTS, TRAINED_SOUNDS, render_sound, tempo_word
from metrics.clap.mini import SAMPLE_RATE, WINDOW_S, WINDOW_SAMPLES
from metrics.clap.preprocess import prepare

logger = logging.getLogger(__name__)

_TUNE_SHARE = 1 / 12
_TRAINING_SEED, _EVALUATION_SEED = 4511, 7711
# The codec of the round trips is similar to those of the methods, but none of theirs, so that
# scores do not favour one of them.
_CODEC: Any = {"n_fft": 2048, "hop_length": 441}
_CODEC_MELS, _CODEC_TOP_HZ, _CODEC_ITERATIONS = 128, 10000, 16

_NATURE_WORDINGS: dict[str, tuple[str, ...]] = {
    "birds": ("birds singing", "birds chirping", "a bird singing"),
    "bells": ("bells ringing", "church bells ringing", "a bell ringing"),
    "fire": ("fire crackling", "a fire burning", "a crackling fire"),
    "heartbeat": ("a heartbeat", "a heart beating", "the heartbeat of a heart"),
    "rain": ("rain falling", "falling rain", "heavy rain"),
    "waves": ("waves of the sea", "sea waves", "waves crashing"),
}


@dataclass(frozen=True, slots=True)
class Description:
    """What captions may say about a clip; for sounds of nature, all words but `sound` are empty."""

    sound: str
    tempo: str = ""
    register: str = ""
    contour: str = ""
    tonality: str = ""
    chords: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Features (clip, frame, mel) float16 with one description each."""

    features: NDArray[np.float16]
    descriptions: tuple[Description, ...]


def describe_melody(sound: str, melody: Melody | None) -> Description:
    """Read register, contour, tempo and tonality off a melody's louder voice."""
    if melody is None:
        return Description(sound)
    pitches = [note.pitch for note in melody.notes if note.velocity >= 75] or [60]
    mean, climb = float(np.mean(pitches)), pitches[-1] - pitches[0]
    register = "low" if mean < 64 else "high" if mean > 74 else "middle"
    contour = "rising" if climb > 4 else "falling" if climb < -4 else "level"
    chords = any(note.velocity == 60 for note in melody.notes)
    tonality = f"{melody.key} {melody.mode}".lower()
    tempo = tempo_word(melody.tempo_bpm).strip()
    return Description(sound, tempo, register, contour, tonality, chords)


def word_caption(described: Description, rng: np.random.Generator) -> str:
    """Draw one wording for a clip, plain or with some of what is known of its melody."""
    sound = described.sound
    plain = [sound, f"{sound} music", f"the sound of {sound}", f"{sound} sound"]
    if sound in _NATURE_WORDINGS:
        return str(rng.choice([*plain, *_NATURE_WORDINGS[sound] * 2]))
    if rng.random() < 0.3:
        return str(rng.choice([*plain, f"a {sound}", f"a melody played on {sound}"]))
    drawn = [word for word in (described.tempo, described.register) if rng.random() < 0.7]
    adjectives = "".join(f"{word} " for word in drawn if word)
    melody = f"{adjectives}melody"
    text = str(rng.choice([f"{sound} playing a {melody}", f"a {melody} played on {sound}"]))
    text += f" in {described.tonality}" if rng.random() < 0.5 else ""
    text += f" {described.contour}" if rng.random() < 0.5 else ""
    return text + (" with chords" if described.chords else "")


def vocabulary_texts() -> list[str]:
    """Texts that together hold every word a caption can have."""
    keys = ("c", "db", "d", "eb", "e", "f", "gb", "g", "ab", "a", "bb", "b")
    words = "a the of sound music melody played playing on in with chords slow fast low middle high"
    others = "rising falling level major minor pentatonic"
    wordings = [text for texts in _NATURE_WORDINGS.values() for text in texts]
    return [words, others, " ".join(keys), *TRAINED_SOUNDS, *wordings]


def _draw_melody(rng: np.random.Generator, *, unseen: bool) -> Melody:
    """Draw a melody for training, or for evaluation, where half are tunes kept out of training."""
    tunes = HELD_OUT_TUNES if unseen else TRAINING_TUNES
    if rng.random() >= (0.5 if unseen else _TUNE_SHARE):
        return random_melody(rng, duration_s=WINDOW_S)
    tempo_bpm, transpose = float(rng.uniform(90, 170)), int(rng.integers(-4, 6))
    return tune_melody(
        tunes[str(rng.choice(list(tunes)))], tempo_bpm=tempo_bpm, transpose=transpose
    )


def draw_clip(
    sound: str, rng: np.random.Generator, *, unseen: bool = False
) -> tuple[Audio, Description]:
    """Render one clip of a sound with its description."""
    melody = _draw_melody(rng, unseen=unseen) if sound in INSTRUMENTS else None
    waveform = render_sound(sound, melody, rng, WINDOW_S, SAMPLE_RATE)
    return Audio(waveform[None], SAMPLE_RATE), describe_melody(sound, melody)


def codec_round_trip(audio: Audio, seed: int) -> Audio:
    """Reduce a clip to a mel spectrogram and back with Griffin-Lim phases."""
    import librosa

    magnitude = np.abs(librosa.stft(audio.mono, **_CODEC))
    bank = librosa.filters.mel(
        sr=SAMPLE_RATE,
        n_fft=_CODEC["n_fft"],
        n_mels=_CODEC_MELS,
        fmin=30,
        fmax=_CODEC_TOP_HZ,
        htk=True,
        norm=None,
    )
    estimate = np.maximum(np.linalg.pinv(bank) @ (bank @ magnitude), 0)
    waveform = librosa.griffinlim(
        estimate,
        n_iter=_CODEC_ITERATIONS,
        random_state=seed,
        length=audio.num_samples,
        **_CODEC,
    )
    return Audio(waveform[None].astype(np.float32), SAMPLE_RATE)


def clip_features(extractor: ClapFeatureExtractor, clips: Sequence[Audio]) -> NDArray[np.float16]:
    """Features of the first window of each clip, after our own preprocessing."""
    windows = [prepare(clip, SAMPLE_RATE, WINDOW_SAMPLES)[0] for clip in clips]
    features = extractor(windows, sampling_rate=SAMPLE_RATE, return_tensors="np")["input_features"]
    return np.asarray(features[:, 0], np.float16)


def _render_round(index: int, *, with_codec: bool) -> Iterator[tuple[Audio, Description]]:
    for number, sound in enumerate(TRAINED_SOUNDS):
        rng = np.random.default_rng((_TRAINING_SEED, index, number))
        audio, described = draw_clip(sound, rng)
        yield audio, described
        if with_codec:
            yield codec_round_trip(audio, index), described


def write_shards(
    extractor: ClapFeatureExtractor, folder: Path, rounds: int, codec_every: int
) -> None:
    """Render the training rounds that are not there yet, one file each.

    Args:
        extractor: The model's feature extractor.
        folder: Where the shards lie.
        rounds: How many rounds there shall be.
        codec_every: In one of so many rounds, each clip also comes after a codec round trip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(rounds):
        path = shard_path(folder, index)
        if path.is_file():
            continue
        clips = list(_render_round(index, with_codec=index % codec_every == 0))
        _write_shard(path, clip_features(extractor, [a for a, _ in clips]), [d for _, d in clips])
        logger.info("rendered round %d of %d", index + 1, rounds)


def _write_shard(
    path: Path, features: NDArray[np.float16], descriptions: Sequence[Description]
) -> None:
    scratch = path.with_suffix(".part.npz")
    rows = json.dumps([asdict(described) for described in descriptions])
    np.savez_compressed(scratch, features=features, descriptions=np.array(rows))
    scratch.replace(path)


def shard_path(folder: Path, index: int) -> Path:
    """Where a round lies."""
    return folder / f"round_{index:04d}.npz"


def read_shards(folder: Path, rounds: int) -> Pool:
    """Load the first `rounds` shards.

    Raises:
        ConfigError: One of them is not there.
    """
    paths = [shard_path(folder, index) for index in range(rounds)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise ConfigError(
            f"{folder} lacks {len(missing)} of {rounds} rounds of clips, {missing[0]} first. "
            f"Run the stage `render`, or pass --rounds {rounds - len(missing)}."
        )
    return _joined(paths)


def _joined(paths: Sequence[Path]) -> Pool:
    features, descriptions = [], []
    for path in paths:
        with np.load(path, allow_pickle=False) as shard:
            features.append(shard["features"])
            descriptions += [Description(**row) for row in json.loads(str(shard["descriptions"]))]
    return Pool(np.concatenate(features), tuple(descriptions))


def read_round_trips(extractor: ClapFeatureExtractor, folder: Path) -> Pool:
    """Load prepared round trips: FLAC files named by their sound, as "music_box_0003.flac".

    Their captions name the sound only. Files of sounds outside the training are skipped.

    Raises:
        ValueError: There is no other file.
    """
    import soundfile

    clips, descriptions = [], []
    for path in sorted(folder.rglob("*.flac")):
        name = path.relative_to(folder).as_posix().replace("_", " ").replace("/", " ")
        sounds = [sound for sound in TRAINED_SOUNDS if name.startswith(sound)]
        if not sounds:
            continue
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        clips.append(Audio(np.ascontiguousarray(samples.T), rate))
        descriptions.append(Description(max(sounds, key=len)))
    if not clips:
        raise ValueError(
            f"{folder} holds no FLAC file of a trained sound; prepared round trips were expected. "
            "Render them first, or leave out --roundtrips."
        )
    return Pool(clip_features(extractor, clips), tuple(descriptions))


def unseen_path(folder: Path, per_sound: int) -> Path:
    """Where the clips of the evaluation lie."""
    return folder / f"unseen_{per_sound}.npz"


def read_unseen(extractor: ClapFeatureExtractor, folder: Path, per_sound: int) -> Pool:
    """Clips that no training saw; rendered into the folder if they are not there yet."""
    path = unseen_path(folder, per_sound)
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        clips, descriptions = zip(*evaluation_clips(per_sound), strict=True)
        _write_shard(path, clip_features(extractor, clips), descriptions)
    return _joined([path])


def evaluation_clips(per_sound: int) -> Iterator[tuple[Audio, Description]]:
    """Render clips that no training saw: other seeds, and half of the melodies are unseen tunes."""
    for number, sound in enumerate(TRAINED_SOUNDS):
        for index in range(per_sound):
            rng = np.random.default_rng((_EVALUATION_SEED, index, number))
            yield draw_clip(sound, rng, unseen=True)
