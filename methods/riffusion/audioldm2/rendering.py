"""From contents to outputs by AudioLDM 2: spectrograms in windows, edited, joined, made heard.

**Conventions**: audio is mono at 16 kHz. A content is heard at a peak of .5 without its mean, as
the model was trained; its output is given the content's peak back. A request's noises are drawn in
the same order as on Riffusion.

References:
    `load_audio` of code/utils.py in HilaManor/AudioEditingCode. Departures: a spectrogram is filled
    up at its end with silence; contents of more than one window are cut, and their windows joined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.api import Audio, Clip, ContentError
from bench.audio import fit_length
from bench.batching import Batcher
from methods.riffusion.audioldm2.mel import (
    SAMPLE_RATE,
    SHORTEST,
    Mel,
    count_frames,
    cut_windows,
    fill_up,
    join_windows,
    level,
    log_mel,
)
from methods.riffusion.audioldm2.model import AudioLdm2Backbone, load_backbone
from methods.riffusion.longform import place_windows
from methods.riffusion.parameters.edits import AnySampling
from methods.riffusion.parameters.settings import CanvasSettings
from methods.riffusion.rendering import PEAK, Passage, Rendering, lay_passages, move_latents

# Windows that go through the U-Net together where it is no CPU; with guidance twice as many rows.
_WINDOWS_AT_ONCE = 8


@dataclass(frozen=True, slots=True, eq=False)
class AudioLdm2:
    """The loaded model as a stage: `transferring.Stage`."""

    backbone: AudioLdm2Backbone

    def count_windows(self, content: Clip) -> int:
        """Windows that a content is cut into."""
        return len(place_windows(count_frames(content.audio.num_samples), self.backbone.window))

    def render(
        self, renderings: Sequence[Rendering], settings: AnySampling, canvas: CanvasSettings
    ) -> list[Audio]:
        """Edit contents and return their audio, in order.

        Raises:
            ContentError: A content is too short.
        """
        levelled = [level(one.content.audio.mono) for one in map(require_length, renderings)]
        mels = [log_mel(waveform) for waveform, _ in levelled]
        passages = [
            lay_passages(one, cut_windows(mel, self.backbone.window), settings)
            for one, mel in zip(renderings, mels, strict=True)
        ]
        edited = iter(_edit(self.backbone, [one for each in passages for one in each], canvas))
        outputs = []
        for one, mel, each, (_, factor) in zip(renderings, mels, passages, levelled, strict=True):
            whole = join_windows([next(edited) for _ in each], len(mel))
            outputs.append(_heard(self.backbone, whole, factor, one.content.audio.num_samples))
        return outputs


def load_audioldm2(device: str) -> AudioLdm2:
    """Load the model, which is shared by all methods of this process.

    Raises:
        CheckpointError: Weights are missing; the message names the file and the way out.
    """
    return AudioLdm2(load_backbone(device))


def require_length(one: Rendering) -> Rendering:
    """Refuse a content that is too short for one frame.

    Raises:
        ContentError: It is.
    """
    audio = one.content.audio
    if audio.num_samples < SHORTEST:
        raise ContentError(
            f"clip {one.content.id!r} lasts {audio.duration_s:.3f} s, one frame needs "
            f"{SHORTEST / SAMPLE_RATE:.3f} s; shorter clips are not taken. Leave it out."
        )
    return one


def _edit(
    backbone: AudioLdm2Backbone, passages: Sequence[Passage[Mel]], canvas: CanvasSettings
) -> list[Mel]:
    """Spectrograms of all windows, in order; like windows go through the model together.

    On a CPU each goes alone, so that what batches round otherwise does not grow in its steps.
    """
    groups: dict[tuple[AnySampling, int], list[int]] = {}
    for number, one in enumerate(passages):
        groups.setdefault((one.settings, len(one.image)), []).append(number)
    batcher = Batcher(1 if backbone.device.type == "cpu" else _WINDOWS_AT_ONCE)
    edited: dict[int, Mel] = {}
    for numbers in groups.values():
        alike = [passages[number] for number in numbers]
        edited |= dict(
            zip(
                numbers, batcher.run(alike, lambda p: _edit_batch(backbone, p, canvas)), strict=True
            )
        )
    return [edited[number] for number in range(len(passages))]


def _edit_batch(
    backbone: AudioLdm2Backbone, passages: Sequence[Passage[Mel]], canvas: CanvasSettings
) -> list[Mel]:
    filled = [fill_up(one.image, backbone.latent_reduction) for one in passages]
    moved = move_latents(backbone, passages, backbone.encode(filled), canvas.vae_sample)
    return [
        mel[: len(one.image)] for mel, one in zip(backbone.decode(moved), passages, strict=True)
    ]


def _heard(backbone: AudioLdm2Backbone, mel: Mel, factor: float, num_samples: int) -> Audio:
    """The sound of a spectrogram at a content's level and length, its peak at most -0.1 dBFS."""
    waveform = backbone.sound(mel) * factor
    peak = float(waveform.abs().max())
    waveform = waveform * (PEAK / peak) if peak > PEAK else waveform
    return fit_length(Audio(waveform[None].numpy(), SAMPLE_RATE), num_samples)
