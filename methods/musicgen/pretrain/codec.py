"""Train the mini codec: EnCodec at 25 Hz, then k-means code books, then the decoder again.

Three stages: the continuous auto-encoder; residual quantisation fitted by k-means on its latents;
the decoder tuned on quantised latents. Losses: waveform error relative
to the clip's energy and a spectral loss over four resolutions.

**Why the unusual start**: with the library's initial weights the signal shrinks from layer to
layer (decoder output standard deviation .01) and training rests on a plateau; each convolution is
therefore rescaled to unit output first (layer-sequential unit variance, Mishkin and Matas 2016).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from transformers import EncodecConfig, EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecVectorQuantization

from bench.training.loop import Curve
from bench.training.recipe import Recipe, Schedule
from methods.musicgen.chroma import pitch_class_energy
from methods.musicgen.pretrain.data import (
    CHROMA,
    HOP_LENGTH,
    INSTRUMENTS,
    NUM_FRAMES,
    NUM_SAMPLES,
    SAMPLE_RATE,
    VALIDATION_CLIPS,
    Corpus,
    Material,
)

LOGGER = logging.getLogger(__name__)

NUM_CODEBOOKS = 4
CODEBOOK_SIZE = 256
LATENT_DIM = 64
RECIPE = Recipe(
    "continuous_codec",
    8e-4,
    12,
    budget_s=600,
    warm_up_steps=50,
    schedule=Schedule("cosine", lowest=0.05),
    betas=(0.8, 0.95),
    weight_decay=0.01,
    average=0.0,
    report_s=60,
)
DECODER_RECIPE = replace(RECIPE, name="codec_decoder", learning_rate=5e-4)
_CROP_FRAMES = 16
_WINDOWS = (256, 512, 1024, 2048)
_OF_CROPS = 1  # ends the seeds of batches
_CURVE_CLIPS = 8
_QUANTISER_CLIPS = 800
_ENCODED_CLIPS = 1600  # enough for the language model; encoding costs .1 s a clip


def codec_config() -> EncodecConfig:
    """Return the configuration of the mini codec: 16 kHz, 25 Hz, four code books of 256."""
    return EncodecConfig(
        sampling_rate=SAMPLE_RATE,
        audio_channels=1,
        num_filters=16,
        hidden_size=LATENT_DIM,
        codebook_dim=LATENT_DIM,
        codebook_size=CODEBOOK_SIZE,
        upsampling_ratios=[8, 5, 4, 4],
        num_lstm_layers=1,
        target_bandwidths=[NUM_CODEBOOKS * 25 * 8 / 1000],
        normalize=False,
        use_causal_conv=False,
        num_residual_layers=1,
        norm_type="weight_norm",
    )


def spectral_loss(output: Tensor, target: Tensor) -> Tensor:
    """Return relative magnitude error plus .3 of the log magnitude error, mean over resolutions."""
    losses = []
    for n_fft in _WINDOWS:
        window = torch.hann_window(n_fft, device=output.device)
        ours, theirs = (
            torch.stft(w[:, 0], n_fft, n_fft // 4, window=window, return_complex=True).abs()
            for w in (output, target)
        )
        relative = (ours - theirs).abs().mean() / theirs.abs().mean().clamp(min=1e-3)
        logarithmic = ((ours + 1e-2).log() - (theirs + 1e-2).log()).abs().mean()
        losses.append(relative + 0.3 * logarithmic)
    return torch.stack(losses).mean()


def waveform_error(output: Tensor, target: Tensor) -> Tensor:
    """Return the squared error over the energy of the target: 0 is perfect, 1 is silence."""
    return (output - target).square().mean() / target.square().mean().clamp(min=1e-4)


def _convolutions(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d)]


def _output_std(network: nn.Module, layer: nn.Module, batch: Tensor) -> float:
    seen: list[float] = []

    def record(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        seen.append(float(output.std()))

    handle = layer.register_forward_hook(record)
    network(batch)
    handle.remove()
    return seen[0]


@torch.no_grad()
def equalise(network: nn.Module, batch: Tensor, last_std: float = 1.0) -> None:
    """Rescale every convolution to unit output standard deviation, the last one to `last_std`."""
    layers = _convolutions(network)
    for layer in layers:
        if isinstance(layer.bias, nn.Parameter):
            layer.bias.zero_()
    for layer in layers * 2:
        wanted = last_std if layer is layers[-1] else 1.0
        gain = wanted / (_output_std(network, layer, batch) + 1e-8)
        layer.get_parameter("parametrizations.weight.original0").mul_(gain)


def crops(corpus: Corpus, generator: np.random.Generator, count: int) -> Tensor:
    """Draw so many crops of 16 frames from training clips, shape (clip, 1, sample)."""
    clips = generator.integers(VALIDATION_CLIPS, len(corpus.waveform), count)
    starts = generator.integers(0, NUM_FRAMES - _CROP_FRAMES + 1, count) * HOP_LENGTH
    width = _CROP_FRAMES * HOP_LENGTH
    cut = [corpus.waveform[c, s : s + width] for c, s in zip(clips, starts, strict=True)]
    return torch.from_numpy(np.stack(cut).astype(np.float32) / 32768.0)[:, None]


def initial_codec(corpus: Corpus, seed: int) -> EncodecModel:
    """Return an untrained codec whose layers all carry signal."""
    torch.manual_seed(seed)
    codec = EncodecModel(codec_config())
    batch = crops(corpus, np.random.default_rng(seed), RECIPE.batch_size)
    equalise(codec.encoder, batch)
    with torch.no_grad():
        latent = codec.encoder(batch)
    equalise(codec.decoder, latent, 0.5 * float(batch.std()))
    return codec


def _stages(codec: EncodecModel) -> list[EncodecVectorQuantization]:
    return [
        stage for stage in codec.quantizer.layers if isinstance(stage, EncodecVectorQuantization)
    ]


def quantised(codec: EncodecModel, latent: Tensor) -> Tensor:
    """Return the latent rebuilt from its nearest codes, stage by stage."""
    residual, total = latent, torch.zeros_like(latent)
    for stage in _stages(codec):
        decoded = stage.decode(stage.encode(residual))
        total, residual = total + decoded, residual - decoded
    return total


@dataclass(frozen=True, slots=True)
class CropLesson:
    """Crops in, the same crops out: of latents, or of quantised ones for the decoder alone.

    Args:
        codec: Under training, on the device; what it does not train needs no gradient.
        corpus: What is learnt from and, held out, evaluated.
        recipe: Its seed and batch size.
        device: Of the codec.
        quantise: Whether latents are quantised; encoder and code books are not trained then.
    """

    codec: EncodecModel
    corpus: Corpus
    recipe: Recipe
    device: str
    quantise: bool = False

    def batch(self, step: int) -> Tensor:
        """The crops of a step."""
        generator = np.random.default_rng((self.recipe.seed, step, _OF_CROPS))
        return crops(self.corpus, generator, self.recipe.batch_size).to(self.device)

    def losses(self, batch: Tensor) -> Mapping[str, Tensor]:
        """What is minimised, and the error of the waveform over its energy."""
        output = self.codec.decoder(self._latents(batch))[..., : batch.shape[-1]].float()
        error = waveform_error(output, batch)
        return {"loss": 0.3 * spectral_loss(output, batch) + error, "waveform": error}

    def _latents(self, batch: Tensor) -> Tensor:
        if not self.quantise:
            latents: Tensor = self.codec.encoder(batch)
            return latents
        with torch.no_grad():
            latents = self.codec.encoder(batch)
            with torch.autocast(batch.device.type, enabled=False):
                return quantised(self.codec, latents.float())

    def evaluate(self) -> Curve:
        """Error of held-out clips."""
        content = self.corpus.audio(slice(0, _CURVE_CLIPS))[:, None].to(self.device)
        output = self.codec.decoder(self._latents(content))[..., :NUM_SAMPLES]
        return {"held_out": float(waveform_error(output, content))}


@torch.no_grad()
def encode(codec: EncodecModel, corpus: Corpus) -> Tensor:
    """Return the latents, shape (clip, dim, frame): the slowest step besides training."""
    count = min(len(corpus.waveform), _ENCODED_CLIPS)
    chunks = []
    for start in range(0, count, 20):
        batch = corpus.audio(slice(start, min(start + 20, count)))[:, None]
        chunks.append(codec.encoder(batch)[..., :NUM_FRAMES])
    LOGGER.info("encoded %d clips", count)
    return torch.cat(chunks)


@torch.no_grad()
def fit_quantiser(codec: EncodecModel, latents: Tensor, seed: int = 0) -> list[float]:
    """Fit each code book by k-means on what the others left; return residual energy ratios."""
    from sklearn.cluster import MiniBatchKMeans

    kept = latents[VALIDATION_CLIPS : VALIDATION_CLIPS + _QUANTISER_CLIPS]
    residual = kept.permute(0, 2, 1).reshape(-1, LATENT_DIM).numpy()
    variance = float(residual.var(axis=0).mean())
    ratios = []
    for stage in _stages(codec):
        clusters = MiniBatchKMeans(
            CODEBOOK_SIZE, n_init=2, batch_size=4096, max_iter=60, random_state=seed
        ).fit(residual)
        centres = clusters.cluster_centers_.astype(np.float32)
        stage.codebook.get_buffer("embed").copy_(torch.from_numpy(centres))
        residual = residual - centres[clusters.predict(residual)]
        ratios.append(float((residual**2).mean()) / variance)
    LOGGER.info("residual energy after each code book: %s", ratios)
    return ratios


@torch.no_grad()
def material(codec: EncodecModel, latents: Tensor, corpus: Corpus) -> Material:
    """Return the encoded clips of the corpus as the language model learns from them."""
    chunks = [codec.quantizer.encode(chunk) for chunk in torch.split(latents, 100)]
    codes = torch.cat(chunks, dim=1).permute(1, 0, 2).contiguous()
    count = len(codes)
    chroma = corpus.chroma[:count]
    return Material(codes.numpy(), corpus.instrument[:count], chroma, identity(codec))


def identity(codec: EncodecModel) -> str:
    """Digest of what decides the codes of a clip: encoder and code books, not the decoder."""
    books = [stage.codebook.embed for stage in codec.quantizer.layers]
    digest = hashlib.sha256()
    for values in [*codec.encoder.state_dict().values(), *books]:
        digest.update(values.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def chroma_similarity(first: Tensor, second: Tensor) -> float:
    """Return the mean cosine of chroma frames, weighted by the first waveform's amplitude."""
    energy = [pitch_class_energy(w, CHROMA)[..., :NUM_FRAMES, :] for w in (first, second)]
    cosine = nn.functional.cosine_similarity(energy[0], energy[1], dim=-1)
    weight = energy[0].sum(-1).sqrt()
    return float((cosine * weight).sum() / weight.sum())


@torch.no_grad()
def evaluate(codec: EncodecModel, corpus: Corpus, *, quantise: bool) -> dict[str, float]:
    """Return waveform error and chroma similarity, per instrument, on validation clips."""
    content = corpus.audio(slice(0, VALIDATION_CLIPS))[:, None]
    latent = codec.encoder(content)
    output = codec.decoder(quantised(codec, latent) if quantise else latent)[..., :NUM_SAMPLES]
    scores = {"error": float(waveform_error(output, content))}
    for index, name in enumerate(INSTRUMENTS):
        clips = np.flatnonzero(corpus.instrument[:VALIDATION_CLIPS] == index)
        scores[f"chroma {name}"] = float(
            np.mean([chroma_similarity(content[c, 0], output[c, 0]) for c in clips])
        )
    return scores
