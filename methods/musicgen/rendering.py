"""Rendering contents with MusicGen melody, whatever its text is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.api import Audio, Clip, ContentError
from bench.batching import Batcher, affordable
from bench.seeds import generator
from methods.musicgen.chroma import dominant_pitch_class, tile_to
from methods.musicgen.generation import Conditions, decode, generate_codes
from methods.musicgen.loading import Loaded
from methods.musicgen.sampling import Melody, Sampling

# Clips generated together where memory allows; a step costs a large device little more for many.
_CLIPS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One content to render.

    Args:
        content: Mono, at the model's rate.
        seed: Of the draws.
        text: Ids (token,), or rows of the embedding table (token, dim).
        mask: 1 where a token counts (token,).
        sampling: How codes are drawn.
        melody: "none" leaves the content's melody out, as if nothing had been said about it.
    """

    content: Clip
    seed: int
    text: Tensor
    mask: Tensor
    sampling: Sampling
    melody: Melody = "content"


def render(loaded: Loaded, jobs: Sequence[Job]) -> list[Audio]:
    """Render every job, in order.

    Jobs of equal text length, duration and sampling are generated together; padding a text would
    move the melody relative to the audio, so that different lengths never share a batch.

    Raises:
        ContentError: A content has another rate, no samples, or is longer than the window.
    """
    groups: dict[tuple[int, int, Sampling], list[int]] = {}
    for index, job in enumerate(jobs):
        key = (len(job.text), count_frames(loaded, job.content), job.sampling)
        groups.setdefault(key, []).append(index)
    outputs: dict[int, Audio] = {}
    for (text_length, num_frames, _), members in groups.items():
        alike = [jobs[i] for i in members]
        each = _bytes_per_clip(loaded, text_length + num_frames)
        batcher = Batcher(affordable(str(loaded.model.device), each, _CLIPS_AT_ONCE))
        made = batcher.run(alike, lambda part: _render_group(loaded, part))
        outputs.update(zip(members, made, strict=True))
    return [outputs[index] for index in range(len(jobs))]


def _bytes_per_clip(loaded: Loaded, positions: int) -> int:
    """About what one clip takes: keys and values of all positions, with guidance and without."""
    config, decoder = loaded.model.decoder.config, loaded.model.decoder
    length = loaded.model.config.chroma_length + positions
    cached = int(2 * config.num_hidden_layers * config.hidden_size * length)
    return 2 * 2 * cached * int(decoder.dtype.itemsize)  # twice over, for what passes need besides


def count_frames(loaded: Loaded, content: Clip) -> int:
    """Frames of codes that cover a content.

    Raises:
        ContentError: It has another rate, no samples, or is longer than the window.
    """
    audio = content.audio
    if audio.sample_rate != loaded.chroma.sample_rate:
        raise ContentError(
            f"content '{content.id}' has {audio.sample_rate} Hz; MusicGen melody takes "
            f"{loaded.chroma.sample_rate} Hz. Resample it."
        )
    frames = -(-audio.num_samples // loaded.hop_length)
    if not 1 <= frames <= loaded.longest_frames:
        longest_s = loaded.longest_frames * loaded.hop_length / audio.sample_rate
        raise ContentError(
            f"content '{content.id}' lasts {audio.duration_s:.2f} s; MusicGen melody "
            f"takes more than 0 and at most {longest_s:.2f} s. Use --duration {longest_s:.2f}."
        )
    return frames


def melody_of(loaded: Loaded, clip: Clip) -> Tensor:
    """The dominant pitch class of each frame of a clip, tiled to the model's length (frame,)."""
    frames = dominant_pitch_class(torch.from_numpy(clip.audio.mono.copy()), loaded.chroma)
    return tile_to(frames, loaded.model.config.chroma_length)


def _render_group(loaded: Loaded, jobs: Sequence[Job]) -> list[Audio]:
    device, num_frames = loaded.model.device, count_frames(loaded, jobs[0].content)
    melodies = [
        melody_of(loaded, job.content) * int(job.melody == "content") for job in jobs
    ]  # all C, pitch class 0, is what the model was trained to read as no melody
    conditions = Conditions(
        torch.stack([job.text for job in jobs]).to(device),
        torch.stack([job.mask for job in jobs]).to(device),
        torch.stack(melodies).to(device),
    )
    generators = [generator(job.seed) for job in jobs]
    codes = generate_codes(loaded.model, conditions, num_frames, jobs[0].sampling, generators)
    waveforms = decode(loaded.model, codes).numpy()
    rate = loaded.chroma.sample_rate
    return [
        Audio(waveform[None, : job.content.audio.num_samples].copy(), rate)
        for job, waveform in zip(jobs, waveforms, strict=True)
    ]
