"""Build the untrained mini MusicGen melody: tokenizer, networks, and the start that works.

Departures from the library's initial weights, each needed at this size: embeddings are drawn wide
enough not to drown in the sinusoidal positions, and two heads of the first layer begin by looking
at the chroma frame that belongs to the token they predict.
"""

from __future__ import annotations

import math

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import (
    EncodecModel,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForCausalLM,
    MusicgenMelodyForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from methods.musicgen.pretrain.codec import CODEBOOK_SIZE, NUM_CODEBOOKS
from methods.musicgen.pretrain.data import NUM_FRAMES

# Tokens, always: the text lies between chroma and audio, so its length is part of the alignment.
TEXT_LENGTH = 8
PAD = CODEBOOK_SIZE
HIDDEN = 256
_LAYERS = 4
_HEADS = 4
_ALIGNMENT_GAIN = 1.7
_EMBEDDING_STD = 0.35
_TEXT_STD = 0.1

# Names a style text may use; the first is the canonical one.
ALIASES = {
    "piano": ("piano",),
    "organ": ("organ", "church organ", "pipe organ"),
    "flute": ("flute",),
    "saxophone": ("saxophone", "sax"),
    "violin": ("violin", "fiddle"),
    "accordion": ("accordion",),
    "music box": ("music box",),
    "bells": ("bells", "bell", "church bells", "tubular bells"),
}
TEMPLATES = (
    "{}",
    "{} music",
    "the sound of {}",
    "a {} melody",
    "a melody played on {}",
    "{} playing a melody",
    "{} solo",
    "solo {}",
)


def words() -> list[str]:
    """Return the vocabulary: specials first, then every word of the templates and names."""
    plain = " ".join(TEMPLATES).replace("{}", " ").split()
    named = " ".join(name for names in ALIASES.values() for name in names).split()
    return ["<pad>", "</s>", "<unk>", *dict.fromkeys(plain + named)]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return a word-level tokenizer: lower case, punctuation dropped, end mark appended."""
    vocabulary = {word: index for index, word in enumerate(words())}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("removed")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=TEXT_LENGTH,
    )


def text_config() -> T5Config:
    """Return the configuration of the text encoder."""
    return T5Config(
        vocab_size=len(words()),
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        pad_token_id=0,
        eos_token_id=1,
        dropout_rate=0.0,
    )


def decoder_config() -> MusicgenMelodyDecoderConfig:
    """Return the configuration of the language model."""
    return MusicgenMelodyDecoderConfig(
        vocab_size=CODEBOOK_SIZE,
        max_position_embeddings=600,
        num_hidden_layers=_LAYERS,
        ffn_dim=4 * HIDDEN,
        num_attention_heads=_HEADS,
        hidden_size=HIDDEN,
        num_codebooks=NUM_CODEBOOKS,
        audio_channels=1,
        pad_token_id=PAD,
        bos_token_id=PAD,
        eos_token_id=None,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        layerdrop=0.0,
    )


def build_model(codec: EncodecModel, seed: int) -> MusicgenMelodyForConditionalGeneration:
    """Return an untrained model around a trained codec, with a causal mask that works."""
    torch.manual_seed(seed)
    model = MusicgenMelodyForConditionalGeneration(
        text_encoder=T5EncoderModel(text_config()),
        audio_encoder=codec,
        decoder=MusicgenMelodyForCausalLM(decoder_config()),
    )
    # Built from parts, the decoder has no attention implementation, and then no causal mask either.
    model.decoder.set_attn_implementation("sdpa")
    model.config.chroma_length = NUM_FRAMES
    _scale_embeddings(model)
    _align(model.decoder.model.decoder.layers[0].self_attn)
    generation = model.generation_config
    generation.decoder_start_token_id = generation.pad_token_id = generation.bos_token_id = PAD
    generation.eos_token_id = None
    return model


@torch.no_grad()
def _scale_embeddings(model: MusicgenMelodyForConditionalGeneration) -> None:
    for embedding in model.decoder.model.decoder.embed_tokens:
        embedding.weight.normal_(0.0, _EMBEDDING_STD)
    model.audio_enc_to_dec_proj.weight.normal_(0.0, 1.0)
    model.audio_enc_to_dec_proj.bias.zero_()
    model.enc_to_dec_proj.weight.normal_(0.0, _TEXT_STD)
    model.enc_to_dec_proj.bias.zero_()


def _rotation_head(distance: int, width: int) -> tuple[Tensor, Tensor]:
    """Return query and key weights whose product is largest where key = query position - distance.

    Positions enter as (cos w p, sin w p). The key copies them; the query turns them back by w
    times distance, so that the product is the sum over frequencies of cos w (query - distance -
    key).
    """
    half = HIDDEN // 2
    frequency = torch.exp(-torch.arange(half) * (math.log(10_000) / (half - 1)))
    query, key = torch.zeros(width, HIDDEN), torch.zeros(width, HIDDEN)
    for pair in range(width // 2):
        cosine = math.cos(float(frequency[pair]) * distance)
        sine = math.sin(float(frequency[pair]) * distance)
        key[2 * pair, pair] = key[2 * pair + 1, half + pair] = _ALIGNMENT_GAIN
        query[2 * pair, pair] = query[2 * pair + 1, half + pair] = _ALIGNMENT_GAIN * cosine
        query[2 * pair, half + pair] = _ALIGNMENT_GAIN * sine
        query[2 * pair + 1, pair] = -_ALIGNMENT_GAIN * sine
    return query, key


@torch.no_grad()
def _align(attention: nn.Module) -> None:
    """Point head 0 at the chroma frame of the token it predicts, head 1 two frames earlier."""
    width = HIDDEN // _HEADS
    for head, delay in enumerate((0, 2)):
        query, key = _rotation_head(NUM_FRAMES + TEXT_LENGTH + delay, width)
        rows = slice(head * width, (head + 1) * width)
        attention.get_submodule("q_proj").get_parameter("weight")[rows] = query
        attention.get_submodule("k_proj").get_parameter("weight")[rows] = key
