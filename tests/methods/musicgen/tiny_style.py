"""A MusicGen-Style of random weights, its state dict written out under the published names."""

from __future__ import annotations

import math

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    EncodecConfig,
    EncodecModel,
    HubertConfig,
    HubertModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from methods.musicgen.style_loading import (
    StyleModel,
    conditioner_of,
    decoder_of,
    text_projection_of,
)

HIDDEN, LAYERS, CODEBOOKS, CODES = 128, 2, 4, 16
WIDTH, FEATURES, STAGES, STAGE_CODES, TEXT = 64, 24, 3, 8, 32
WORDS = ["<pad>", "</s>", "<unk>", "accordion", "bells"]


def _transformer(name: str, width: int, layers: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for number in range(layers):
        layer = f"{name}.layers.{number}"
        shapes[f"{layer}.self_attn.in_proj_weight"] = (3 * width, width)
        shapes[f"{layer}.self_attn.out_proj.weight"] = (width, width)
        shapes[f"{layer}.linear1.weight"] = (4 * width, width)
        shapes[f"{layer}.linear2.weight"] = (width, 4 * width)
        for norm in ("norm1", "norm2"):
            shapes[f"{layer}.{norm}.weight"] = shapes[f"{layer}.{norm}.bias"] = (width,)
    return shapes


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published state dict at a small size, by hand."""
    style = "condition_provider.conditioners.self_wav"
    shapes = {f"emb.{k}.weight": (CODES + 1, HIDDEN) for k in range(CODEBOOKS)}
    shapes |= {f"linears.{k}.weight": (CODES, HIDDEN) for k in range(CODEBOOKS)}
    shapes |= _transformer("transformer", HIDDEN, LAYERS)
    shapes |= {"out_norm.weight": (HIDDEN,), "out_norm.bias": (HIDDEN,)}
    shapes |= _transformer(f"{style}.transformer", WIDTH, 1)
    for number in range(STAGES):
        book = f"{style}.rvq.vq.layers.{number}._codebook"
        shapes[f"{book}.inited"] = (1,)
        shapes[f"{book}.cluster_size"] = (STAGE_CODES,)
        shapes[f"{book}.embed"] = shapes[f"{book}.embed_avg"] = (STAGE_CODES, WIDTH)
    return shapes | {
        f"{style}.embed.weight": (WIDTH, FEATURES),
        f"{style}.embed.bias": (WIDTH,),
        f"{style}.batch_norm.running_mean": (WIDTH,),
        f"{style}.batch_norm.running_var": (WIDTH,),
        f"{style}.batch_norm.num_batches_tracked": (),
        f"{style}.output_proj.weight": (HIDDEN, WIDTH),
        f"{style}.output_proj.bias": (HIDDEN,),
        "condition_provider.conditioners.description.output_proj.weight": (HIDDEN, TEXT),
        "condition_provider.conditioners.description.output_proj.bias": (HIDDEN,),
    }


def published_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights under those names, wide enough that conditions matter."""
    drawn = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in published_shapes().items():
        value = torch.randn(shape, generator=drawn)
        scale = 3.0 / math.sqrt(shape[-1]) if len(shape) == 2 else 1.0
        state[name] = value.abs() + 0.5 if name.endswith("running_var") else value * scale
    return state


def _tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def tiny_features() -> HubertModel:
    """Features at 75 Hz from sound at 24 kHz."""
    return HubertModel(
        HubertConfig(
            hidden_size=FEATURES,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            conv_dim=(8,) * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
        )
    )


def tiny_model() -> StyleModel:
    """All parts; a frame of codes takes 80 ms instead of 20, so that tests are quick."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = published_state()
        codec = EncodecConfig(
            target_bandwidths=[0.22],
            sampling_rate=32_000,
            audio_channels=1,
            normalize=False,
            use_causal_conv=False,
            upsampling_ratios=[8, 8, 8, 5],
            codebook_size=CODES,
            codebook_dim=16,
            hidden_size=16,
            num_filters=4,
            num_lstm_layers=1,
        )
        text = T5Config(
            vocab_size=len(WORDS), d_model=TEXT, d_kv=8, d_ff=37, num_layers=1, num_heads=4
        )
        model = StyleModel(
            decoder_of(state),
            conditioner_of(state),
            text_projection_of(state),
            T5EncoderModel(text),
            _tokenizer(),
            tiny_features(),
            EncodecModel(codec),
        )
        for layer in model.codec.quantizer.layers:
            layer.codebook.embed.normal_(std=0.1)  # near what the encoder gives
    return model.settle("cpu")
