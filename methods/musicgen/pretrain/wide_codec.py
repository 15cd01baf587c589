"""The codec of any timbre: the mini codec trained on an endless stream, code books and all.

The codec of `codec.py` heard eight instruments, and loses others: bells come back as something
else. Here the same network, so that a language model fits it as before, learns from
`bench.corpus.stream`: encoder, code books and decoder at once. Afterwards its decoder may go on
alone: the codes of a clip stay what they are, and a language model that knows them need not learn
again.

**Source**: Défossez et al. (2022), "High fidelity neural audio compression", arXiv 2210.13438:
residual vector quantisation with straight-through gradients, code books as running means, a
commitment loss, spectra at several resolutions. **Departures**: no adversary; each clip's error is
relative to that clip, so that soft ones count; a dead code restarts from the vector of the batch
that is farthest from every code, not from a random one, so that nothing is drawn.

**Conventions**: waveforms (clip, 1, sample) at 16 kHz; latents (clip, dim, frame).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import EncodecModel, MusicgenMelodyForConditionalGeneration
from transformers.models.encodec.modeling_encodec import EncodecVectorQuantization

from bench.corpus.sources import Source
from bench.corpus.stream import CropStream
from bench.training.loop import Curve
from bench.training.recipe import Recipe
from methods.musicgen.pretrain import codec
from methods.musicgen.pretrain.data import HOP_LENGTH, SAMPLE_RATE

NAME = "wide_codec"
RECIPE = Recipe(NAME, 5e-4, 12, budget_s=3600, betas=(0.8, 0.99), weight_decay=0.0, report_s=180)
DECODER_RECIPE = replace(RECIPE, name="wide_decoder")
CROP_FRAMES = 16
_WINDOWS = (128, 256, 512, 1024, 2048)
_FLOOR = 1e-2  # of magnitudes in a logarithm
_LOGARITHMIC, _WAVEFORM, _COMMITMENT = 0.5, 0.1, 0.25
_QUIET = 1e-4  # of energies and magnitudes that are divided by
_CODE_DECAY = 0.99
_DEAD = 0.05  # vectors per step, as a running mean; below it a code restarts
_MOST_RESTARTS = 4  # per code book and step
# Crops that no training draws: the seed of the stream is another.
_HELD_OUT_SEED, _HELD_OUT_CROPS, _HELD_OUT_FRAMES = 7_000_001, 24, 48


def spectral_error(output: Tensor, target: Tensor) -> Tensor:
    """Relative magnitude error plus half the log magnitude error; means of resolutions, clips.

    Args:
        output: (clip, 1, sample).
        target: The same shape.
    """
    losses = []
    for n_fft in _WINDOWS:
        window = torch.hann_window(n_fft, device=output.device)
        ours, theirs = (
            torch.stft(w[:, 0].float(), n_fft, n_fft // 4, window=window, return_complex=True).abs()
            for w in (output, target)
        )
        loudness = theirs.mean((1, 2)).clamp(min=_FLOOR)
        relative = (ours - theirs).abs().mean((1, 2)) / loudness
        logarithmic = ((ours + _FLOOR).log() - (theirs + _FLOOR).log()).abs().mean((1, 2))
        losses.append(relative + _LOGARITHMIC * logarithmic)
    return torch.stack(losses).mean()


def waveform_error(output: Tensor, target: Tensor) -> Tensor:
    """Squared error over the energy of each clip, the mean of clips: 0 is perfect, 1 silence."""
    energy = target.square().mean((1, 2)).clamp(min=_QUIET)
    return ((output - target).square().mean((1, 2)) / energy).mean()


def _books(network: EncodecModel) -> list[nn.Module]:
    return [
        stage.codebook
        for stage in network.quantizer.layers
        if isinstance(stage, EncodecVectorQuantization)
    ]


def begin_counting(network: EncodecModel) -> None:
    """Give code books that k-means wrote the running sums that they go on from."""
    for book in _books(network):
        size, sums = book.get_buffer("cluster_size"), book.get_buffer("embed_avg")
        if not bool(size.any()):
            size.fill_(1.0)
            sums.copy_(book.get_buffer("embed"))


@torch.no_grad()
def learn_codes(book: nn.Module, vectors: Tensor, chosen: Tensor) -> None:
    """Move codes to the running mean of the vectors that chose them; restart dead ones.

    Args:
        book: Whose buffers change.
        vectors: (vector, dim).
        chosen: Code of each, (vector,).
    """
    embed = book.get_buffer("embed")
    size, sums = book.get_buffer("cluster_size"), book.get_buffer("embed_avg")
    uses = nn.functional.one_hot(chosen, len(embed)).to(vectors.dtype)
    size.lerp_(uses.sum(0), 1 - _CODE_DECAY)
    sums.lerp_(uses.T @ vectors, 1 - _CODE_DECAY)
    dead = (size < _DEAD).nonzero().flatten()[: min(_MOST_RESTARTS, len(vectors))]
    if len(dead):
        misses = (vectors - embed[chosen]).square().sum(1)
        sums[dead] = vectors[misses.topk(len(dead)).indices]
        size[dead] = 1.0
    embed.copy_(sums / size.clamp(min=_QUIET)[:, None])


def quantise(network: EncodecModel, latent: Tensor, *, learn: bool) -> tuple[Tensor, Tensor]:
    """Quantise a latent, stage by stage; return it, and the commitment loss of its encoder.

    Gradients pass through as if nothing had been rounded. Always in float32: running means of a
    shorter format would stand still.
    """
    with torch.autocast(latent.device.type, enabled=False):
        return _quantised(network, latent.float(), learn=learn)


def _quantised(network: EncodecModel, plain: Tensor, *, learn: bool) -> tuple[Tensor, Tensor]:
    residual, total = plain.detach(), torch.zeros_like(plain)
    for book in _books(network):
        vectors = residual.transpose(1, 2).reshape(-1, residual.shape[1])
        embed = book.get_buffer("embed")
        chosen = torch.cdist(vectors[None], embed[None])[0].argmin(1)
        decoded = embed[chosen].view(len(residual), -1, residual.shape[1]).transpose(1, 2)
        total, residual = total + decoded, residual - decoded
        if learn:
            learn_codes(book, vectors, chosen)
    spread = plain.detach().var().clamp(min=_QUIET)
    commitment = (plain - total).square().mean() / spread
    return plain + (total - plain).detach(), commitment


def held_out_crops(stream: CropStream) -> Tensor:
    """Crops of the same sources that no training draws, (clip, 1, sample)."""
    apart = replace(stream, seed=_HELD_OUT_SEED, num_samples=_HELD_OUT_FRAMES * HOP_LENGTH)
    return apart.crops(0, _HELD_OUT_CROPS)[:, None]


@dataclass(frozen=True, slots=True)
class CodecLesson:
    """Crops in, the same crops out of four code books.

    Args:
        network: The codec under training.
        stream: Of crops, on the device of the network.
        batch_size: Crops per step.
        held_out: Crops that are evaluated, (clip, 1, sample).
        decoder_only: Whether encoder and code books stay as they are.
    """

    network: EncodecModel
    stream: CropStream
    batch_size: int
    held_out: Tensor
    decoder_only: bool = False

    def batch(self, step: int) -> Tensor:
        """Crops (clip, 1, sample)."""
        return self.stream.crops(step, self.batch_size)[:, None]

    def losses(self, batch: Tensor) -> Mapping[str, Tensor]:
        """What is minimised, and its parts."""
        with torch.set_grad_enabled(not self.decoder_only):
            latent = self.network.encoder(batch)
        quantised, commitment = quantise(self.network, latent, learn=not self.decoder_only)
        output = self.network.decoder(quantised)[..., : batch.shape[-1]].float()
        spectral, waveform = spectral_error(output, batch), waveform_error(output, batch)
        total = spectral + _WAVEFORM * waveform + _COMMITMENT * commitment
        return {
            "loss": total,
            "spectral": spectral,
            "waveform": waveform,
            "commitment": commitment,
        }

    def evaluate(self) -> Curve:
        """Errors of held-out crops with and without code books; how many codes are in use."""
        latent = self.network.encoder(self.held_out)
        figures: Curve = {}
        quantised, _ = quantise(self.network, latent, learn=False)
        for name, given in (("held_out", quantised), ("unquantised", latent)):
            output = self.network.decoder(given)[..., : self.held_out.shape[-1]]
            figures[f"{name}_spectral"] = float(spectral_error(output, self.held_out))
            figures[f"{name}_waveform"] = float(waveform_error(output, self.held_out))
        sizes = [book.get_buffer("cluster_size") for book in _books(self.network)]
        figures["codes_in_use"] = float(
            torch.stack([(s > _DEAD).float().mean() for s in sizes]).mean()
        )
        return {name: round(value, 4) for name, value in figures.items()}


def committed_model(folder: Path) -> MusicgenMelodyForConditionalGeneration:
    """An exported model, in float32."""
    return MusicgenMelodyForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)


def committed_codec(folder: Path) -> EncodecModel:
    """The codec of an exported model, in float32, with code books that can go on."""
    network = committed_model(folder).audio_encoder
    begin_counting(network)
    return network


def fresh_codec(stream: CropStream, batch_size: int, seed: int) -> EncodecModel:
    """An untrained codec whose layers all carry signal, its code books latents of its crops."""
    torch.manual_seed(seed)
    network = EncodecModel(codec.codec_config()).to(stream.device)
    batch = stream.crops(0, batch_size)[:, None]
    codec.equalise(network.encoder, batch)
    with torch.no_grad():
        latent = network.encoder(batch)
        codec.equalise(network.decoder, latent, 0.5 * float(batch.std()))
        _seed_books(network, latent)
    return network


def _seed_books(network: EncodecModel, latent: Tensor) -> None:
    """Start each code book from what the ones before it left of some latents, spread by noise."""
    residual = latent.transpose(1, 2).reshape(-1, latent.shape[1])
    for book in _books(network):
        embed = book.get_buffer("embed")
        picks = torch.randint(len(residual), (len(embed),), device="cpu").to(residual.device)
        noise = torch.randn(embed.shape, device="cpu").to(residual.device)
        embed.copy_(residual[picks] + 0.1 * residual.std() * noise)
        residual = residual - embed[torch.cdist(residual, embed).argmin(1)]
    begin_counting(network)


def first_codec(stream: CropStream, recipe: Recipe, folder: Path | None) -> EncodecModel:
    """What a training begins with: the codec of an exported model, or an untrained one."""
    if folder is None:
        return fresh_codec(stream, recipe.batch_size, recipe.seed)
    return committed_codec(folder).to(stream.device)


def stream_of(sources: tuple[Source, ...], seed: int, device: str) -> CropStream:
    """The crops that the codec learns from."""
    return CropStream(sources, seed, CROP_FRAMES * HOP_LENGTH, SAMPLE_RATE, device)
