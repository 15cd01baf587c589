"""A tiny AudioLDM 2 of random weights, laid out as `cvssp/audioldm2` is."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AudioLDM2Pipeline,
    AudioLDM2ProjectionModel,
    AudioLDM2UNet2DConditionModel,
    AutoencoderKL,
    DDIMScheduler,
)
from transformers import (
    ClapFeatureExtractor,
    ClapModel,
    GPT2Config,
    GPT2LMHeadModel,
    RobertaTokenizerFast,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from tests.hub.tiny import Files, _clap_model, _read, _roberta_tokenizer, _t5_tokenizer

_GPT2, _T5 = 16, 24
WINDOW_S = 2.56  # 64 latent rows of 4 frames of 10 ms


def _unet() -> AudioLDM2UNet2DConditionModel:
    return AudioLDM2UNet2DConditionModel(
        sample_size=64,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=((None, _GPT2, _T5),) * 3,
        attention_head_dim=4,
        norm_num_groups=4,
    )


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=1,
        out_channels=1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(4, 4, 4),
        latent_channels=4,
        norm_num_groups=2,
        scaling_factor=0.9,
    )


def _vocoder() -> SpeechT5HifiGan:
    return SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=64,
            sampling_rate=16000,
            upsample_initial_channel=64,
            upsample_rates=[5, 4, 2, 2, 2],
            upsample_kernel_sizes=[16, 16, 8, 4, 4],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1]],
            normalize_before=False,
            initializer_range=0.1,  # audible, which its own 0.01 is not
        )
    )


def _t5() -> T5EncoderModel:
    config = T5Config(
        vocab_size=64, d_model=_T5, d_kv=8, d_ff=16, num_layers=1, num_heads=2, pad_token_id=0
    )
    return T5EncoderModel(config)


def audioldm2(scratch: Path) -> Files:
    """The files of a tiny `cvssp/audioldm2`; `scratch` is an empty folder."""
    return _read(save(tiny_pipeline(scratch), scratch / "model"))


def tiny_pipeline(scratch: Path) -> AudioLDM2Pipeline:
    """The library's own pipeline; `scratch` gets the tokenizers."""
    torch.manual_seed(0)
    words = _roberta_tokenizer(scratch / "roberta")
    (scratch / "t5").mkdir()
    _t5_tokenizer(scratch / "t5")
    gpt2 = GPT2Config(
        n_embd=_GPT2, n_layer=2, n_head=2, n_positions=256, vocab_size=8, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    clap: ClapModel = _clap_model(words)
    pipeline = AudioLDM2Pipeline(
        vae=_vae(),
        text_encoder=clap,
        text_encoder_2=_t5(),
        projection_model=AudioLDM2ProjectionModel(
            text_encoder_dim=8, text_encoder_1_dim=_T5, langauge_model_dim=_GPT2
        ),
        language_model=GPT2LMHeadModel(gpt2),
        tokenizer=RobertaTokenizerFast.from_pretrained(
            str(scratch / "roberta"), model_max_length=78
        ),
        tokenizer_2=T5TokenizerFast.from_pretrained(str(scratch / "t5")),
        feature_extractor=ClapFeatureExtractor(),
        unet=_unet(),
        scheduler=DDIMScheduler(
            beta_start=0.0015,
            beta_end=0.0195,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        vocoder=_vocoder(),
    )
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()  # as loading them would leave them
    return pipeline


def save(pipeline: AudioLDM2Pipeline, folder: Path) -> Path:
    """Write a pipeline as the published one lies.

    Its language model is a plain `GPT2Model`, and the words of a tokenizer have files of their own.
    """
    pipeline.save_pretrained(folder)
    pipeline.tokenizer.backend_tokenizer.model.save(str(folder / "tokenizer"))
    pipeline.language_model.transformer.save_pretrained(folder / "language_model")
    return folder
