"""The front end of a CLAP model: from windows of samples to log-mel bands, in batches on a device.

It computes what transformers' `ClapFeatureExtractor` computes for a window of exactly its length,
where that one goes frame by frame through numpy. Every number that a checkpoint decides is read off
its extractor, the mel bank included; what the extractor leaves to `audio_utils.spectrogram` stands
here as constants.

All of it is float64, as in the library: in float32 the noise of a transform, about 1e-7 of a frame,
would be heard in bands that a pure tone leaves empty. Features then differ from the library's in
the last digit of float32, because the library rounds its spectra to complex64 in between.

**Conventions**: windows are float32 (batch, sample) at the checkpoint's rate; features float32
(batch, frame, mel) in dB, where a power of 1 has 0 and nothing lies below -100.

**Source**: transformers 5.23.0, `models/clap/feature_extraction_clap.py`
(`_np_extract_fbank_features`) and `audio_utils.py` (`spectrogram`, `power_to_db`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch.nn import functional
from transformers import ClapFeatureExtractor

from bench.api import Json

_LEAST_POWER = 1e-10  # the library's `mel_floor` and `min_value`
# On a CPU so many frames go through together: a whole window of the mini model, half of a full one.
# Fewer stay closer to the processor, but threads wait for each other after every operation.
_FRAMES_AT_ONCE = 512
# Keeps its embeddings apart in the cache. It is no part of the fingerprint of scores: those of the
# library's own front end differ by less than 1e-6, as those of two processors do.
DESCRIPTION: Json = "log-mel in torch, float64"


@final
@dataclass(frozen=True, slots=True, eq=False)
class FrontEnd:
    """The constants of a checkpoint's extractor, on the device that computes.

    Args:
        hop_length: Samples from one frame to the next.
        window: Hann, (sample,) float64; as long as the transform.
        bins: Those of the transform that some band hears.
        bank: Weights of these bins in each band, (bin, mel) float64.
    """

    hop_length: int
    window: torch.Tensor
    bins: slice
    bank: torch.Tensor

    def log_mel(self, windows: torch.Tensor) -> torch.Tensor:
        """Log-mel bands (batch, frame, mel) of windows (batch, sample) on any device.

        Frames are centred and the ends reflected, so a window must be longer than half a frame.
        """
        n_fft = len(self.window)
        wide = windows.to(self.window)
        padded = functional.pad(wide, (n_fft // 2, n_fft // 2), mode="reflect")
        frames = padded.unfold(-1, n_fft, self.hop_length)
        at_once = _FRAMES_AT_ONCE if self.window.device.type == "cpu" else frames.shape[1]
        mel = torch.cat([self._mel_power(some) for some in frames.split(at_once, dim=1)], dim=1)
        return (10 * mel.clamp_min(_LEAST_POWER).log10()).float()

    def _mel_power(self, frames: torch.Tensor) -> torch.Tensor:
        """The power in each band (batch, frame, mel) of frames (batch, frame, sample)."""
        spectra = torch.fft.rfft(frames * self.window)[..., self.bins]
        power: torch.Tensor = spectra.real.square() + spectra.imag.square()
        return power @ self.bank


def read_front_end(extractor: ClapFeatureExtractor, device: str) -> FrontEnd:
    """The front end of an extractor; on the CPU where the device has no float64 (Apple's MPS)."""
    fused = extractor.truncation == "fusion"
    bank = torch.from_numpy(extractor.mel_filters if fused else extractor.mel_filters_slaney)
    heard = bank.any(dim=1).nonzero()
    bins = slice(int(heard[0]), int(heard[-1]) + 1)
    where = "cpu" if device.startswith("mps") else device
    return FrontEnd(
        extractor.hop_length,
        torch.hann_window(extractor.fft_window_size, dtype=torch.float64, device=where),
        bins,
        bank[bins].to(where, torch.float64),
    )
