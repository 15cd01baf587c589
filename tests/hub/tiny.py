"""Tiny checkpoints with random weights, laid out file by file as the real repositories are.

Riffusion: folders of diffusers from late 2022, pickles, the attention of the autoencoder and the
text encoder under the names of that time, and the files beside them that nobody needs. MusicGen
melody: two shards of safetensors with an index. CLAP: one pickle and the front end's own file.
"""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save
from tokenizers import ByteLevelBPETokenizer, Tokenizer, models, pre_tokenizers, processors
from transformers import (
    ClapAudioConfig,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    ClapTextConfig,
    CLIPTextConfig,
    CLIPTextModel,
    EncodecConfig,
    EncodecModel,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForCausalLM,
    MusicgenMelodyForConditionalGeneration,
    T5Config,
    T5EncoderModel,
)

from tests.laion_names import laion_state

Files = dict[str, bytes]
_WORDS = ("*", "n", "music", "a", "piano", "violin")
_ATTENTION_THEN = (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn"))


def _pickle(state: dict[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def config_of(model: Any) -> bytes:  # noqa: ANN401 - both libraries' models
    """The configuration of a model, as its library writes it today."""
    if hasattr(model, "to_json_string"):
        return str(model.to_json_string()).encode()
    return str(model.config.to_json_string()).encode()


# What configurations held in November 2022; everything newer is left to the library's defaults.
_KEYS_OF_2022 = """_class_name act_fn attention_head_dim block_out_channels center_input_sample
cross_attention_dim down_block_types downsample_padding flip_sin_to_cos freq_shift in_channels
latent_channels layers_per_block mid_block_scale_factor norm_eps norm_num_groups out_channels
sample_size up_block_types"""


def config_of_2022(model: Any) -> bytes:  # noqa: ANN401 - diffusers is untyped
    """The configuration of a part of a pipeline, with the keys of that time alone."""
    kept = {key: value for key, value in dict(model.config).items() if key in _KEYS_OF_2022.split()}
    about = {"_class_name": type(model).__name__, "_diffusers_version": "0.9.0"}
    return json.dumps({**kept, **about}).encode()


def _read(folder: Path) -> Files:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _added(word: str) -> dict[str, object]:
    sides = {"lstrip": False, "rstrip": False, "single_word": False}
    return {"content": word, "normalized": True, **sides}


def _clip_tokenizer() -> Files:
    letters = sorted({letter for word in _WORDS for letter in word})
    symbols = [*letters, *(f"{letter}</w>" for letter in letters)]
    merges = []
    for word in _WORDS:
        parts = [*word[:-1], f"{word[-1]}</w>"]
        while len(parts) > 1:
            merges.append(f"{parts[0]} {parts[1]}")
            parts = ["".join(parts[:2]), *parts[2:]]
            symbols.append(parts[0])
    symbols += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {symbol: index for index, symbol in enumerate(dict.fromkeys(symbols))}
    begin, end = _added("<|startoftext|>"), _added("<|endoftext|>")
    special = {"bos_token": begin, "eos_token": end, "unk_token": end}
    typed = {name: {"__type": "AddedToken", **token} for name, token in special.items()}
    pad = {"pad_token": "<|endoftext|>"}
    settings = {
        **typed,
        **pad,
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": 16,
        "tokenizer_class": "CLIPTokenizer",
    }
    return {
        "tokenizer/vocab.json": json.dumps(vocabulary).encode(),
        "tokenizer/merges.txt": "\n".join(["#version: 0.2", *dict.fromkeys(merges), ""]).encode(),
        "tokenizer/special_tokens_map.json": json.dumps({**special, **pad}).encode(),
        "tokenizer/tokenizer_config.json": json.dumps(settings).encode(),
    }


def _autoencoder() -> Files:
    model = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(4, 4, 4, 4),
        layers_per_block=1,
        norm_num_groups=2,
    )
    return {
        "vae/config.json": config_of_2022(model),
        "vae/diffusion_pytorch_model.bin": _pickle(autoencoder_state(model)),
    }


def autoencoder_state(model: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401 - diffusers is untyped
    """Weights of an autoencoder, its attention under the names of 2022."""
    state: dict[str, torch.Tensor] = dict(model.state_dict())
    for name in [name for name in state if ".attentions." in name]:
        former = name
        for now, then in _ATTENTION_THEN:
            former = former.replace(now, then)
        state[former] = state.pop(name)
    return state


def _unet(width: int) -> Files:
    model = UNet2DConditionModel(
        sample_size=64,
        layers_per_block=1,
        block_out_channels=(8, 8, 8, 8),
        cross_attention_dim=width,
        attention_head_dim=2,
        norm_num_groups=2,
    )
    return {
        "unet/config.json": config_of_2022(model),
        "unet/diffusion_pytorch_model.bin": _pickle(model.state_dict()),
    }


def _text_encoder(width: int, num_tokens: int) -> Files:
    config = CLIPTextConfig(
        vocab_size=num_tokens,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        bos_token_id=0,
        eos_token_id=2,
        pad_token_id=1,
    )
    return {
        "text_encoder/config.json": config_of(config),
        "text_encoder/pytorch_model.bin": _pickle(text_encoder_state(CLIPTextModel(config))),
    }


def text_encoder_state(model: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401 - transformers is untyped
    """Weights of a text encoder, with the prefix and the buffer of 2022."""
    state = {
        re.sub(r"^(?!text_model\.)", "text_model.", name): tensor
        for name, tensor in model.state_dict().items()
    }
    positions = torch.arange(model.config.max_position_embeddings)
    return {**state, "text_model.embeddings.position_ids": positions[None]}


def riffusion() -> Files:
    """The files of a tiny `riffusion/riffusion-model-v1`."""
    torch.manual_seed(0)
    scheduler = PNDMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        skip_prk_steps=True,
        steps_offset=1,
    )
    words = _clip_tokenizer()
    num_tokens = len(json.loads(words["tokenizer/vocab.json"]))
    unused = {
        "README.md": b"a model card",
        "model_index.json": b"{}",
        "riffusion-model-v1.ckpt": b"another form of the weights",
        "unet_traced.pt": b"a traced network",
        "feature_extractor/preprocessor_config.json": b"{}",
        "safety_checker/config.json": b"{}",
        "safety_checker/pytorch_model.bin": b"a safety checker",
    }
    return {
        **words,
        **_autoencoder(),
        **_unet(16),
        **_text_encoder(16, num_tokens),
        "scheduler/scheduler_config.json": config_of(scheduler),
        **unused,
    }


def musicgen(folder: Path) -> Files:
    """The files of a tiny `facebook/musicgen-melody`; `folder` is scratch."""
    torch.manual_seed(0)
    model = MusicgenMelodyForConditionalGeneration(
        text_encoder=T5EncoderModel(_t5()), audio_encoder=_codec(), decoder=_decoder()
    )
    model.config.chroma_length = 235
    model.save_pretrained(folder)
    _t5_tokenizer(folder)
    front_end = {
        "feature_extractor_type": "MusicgenMelodyFeatureExtractor",
        "sampling_rate": 32000,
        "n_fft": 16384,
        "hop_length": 4096,
        "chroma_length": 235,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(front_end))
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    extra = {"README.md": b"a card", "state_dict.bin": b"audiocraft's form of the weights"}
    return {**_read(folder), **_shards(state), **extra}


def _t5_tokenizer(folder: Path) -> None:
    """A unigram tokenizer under T5's name, with its file and settings."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -9.0), *_scored("▁")]
    core = Tokenizer(models.Unigram(pieces, unk_id=2))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    core.add_special_tokens(["<pad>", "</s>", "<unk>"])
    core.save(str(folder / "tokenizer.json"))
    settings = {
        "eos_token": "</s>",
        "extra_ids": 0,
        "model_max_length": 512,
        "pad_token": "<pad>",
        "processor_class": "MusicgenMelodyProcessor",
        "tokenizer_class": "T5Tokenizer",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def _scored(space: str) -> list[tuple[str, float]]:
    """Words with the mark of a space before them, and letters, each with a log-probability."""
    letters = sorted({letter for word in _WORDS for letter in word} | {space})
    return [*((space + word, -2.0) for word in _WORDS), *((letter, -6.0) for letter in letters)]


def _shards(state: dict[str, torch.Tensor]) -> Files:
    names = sorted(state)
    halves = {1: names[: len(names) // 2], 2: names[len(names) // 2 :]}
    place = {name: f"model-0000{n}-of-00002.safetensors" for n in halves for name in halves[n]}
    total = sum(tensor.nbytes for tensor in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": place}
    shards = {
        f"model-0000{n}-of-00002.safetensors": save({name: state[name] for name in held})
        for n, held in halves.items()
    }
    return {**shards, "model.safetensors.index.json": json.dumps(index).encode()}


def _t5() -> T5Config:
    return T5Config(
        vocab_size=64, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, pad_token_id=0
    )


def _codec() -> EncodecModel:
    return EncodecModel(
        EncodecConfig(
            target_bandwidths=[2.2],
            sampling_rate=32000,
            upsampling_ratios=[8, 5, 4, 4],
            num_filters=2,
            codebook_size=2048,
            codebook_dim=16,
            hidden_size=16,
            num_lstm_layers=1,
            normalize=False,
        )
    )


def _decoder() -> MusicgenMelodyForCausalLM:
    return MusicgenMelodyForCausalLM(
        MusicgenMelodyDecoderConfig(
            vocab_size=2048,
            num_hidden_layers=1,
            ffn_dim=16,
            num_attention_heads=2,
            hidden_size=16,
            num_codebooks=4,
            pad_token_id=2048,
            bos_token_id=2048,
        )
    )


def _clap_model(num_words: int) -> ClapModel:
    audio = ClapAudioConfig(
        window_size=8,
        patch_embeds_hidden_size=8,
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 1, 1],
        hidden_size=64,
        projection_dim=8,
    )
    text = ClapTextConfig(
        vocab_size=num_words,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=80,
        projection_dim=8,
    )
    both = {"text_config": text.to_dict(), "audio_config": audio.to_dict()}
    return ClapModel(ClapConfig(**both, projection_dim=8))


def _roberta_tokenizer(folder: Path) -> int:
    """A byte-pair tokenizer under RoBERTa's name, with its four files; returns its size."""
    core = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    texts = [f"{first} {second}" for first in _WORDS for second in _WORDS]
    core.train_from_iterator(
        texts, vocab_size=300, min_frequency=1, special_tokens=special, show_progress=False
    )
    folder.mkdir(parents=True, exist_ok=True)
    core.save_model(str(folder))
    core.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    core.save(str(folder / "tokenizer.json"))
    names = ("bos_token", "pad_token", "eos_token", "unk_token", "mask_token")
    map_of_tokens = {**dict(zip(names, special, strict=True)), "cls_token": "<s>"}
    map_of_tokens["sep_token"] = "</s>"
    settings = {
        **map_of_tokens,
        "add_prefix_space": False,
        "model_max_length": 512,
        "processor_class": "ClapProcessor",
        "tokenizer_class": "RobertaTokenizer",
        "trim_offsets": True,
    }
    (folder / "special_tokens_map.json").write_text(json.dumps(map_of_tokens))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return int(core.get_vocab_size())


def clap(folder: Path) -> Files:
    """The files of a tiny `laion/clap-htsat-unfused`; `folder` is scratch."""
    torch.manual_seed(0)
    model = _clap_model(_roberta_tokenizer(folder))
    front_end = ClapFeatureExtractor(
        frequency_min=50, frequency_max=14000, truncation="rand_trunc", padding="repeatpad"
    )
    front_end.save_pretrained(folder)
    state = _pickle(model.state_dict())
    return {**_read(folder), "config.json": config_of(model.config), "pytorch_model.bin": state}


def laion() -> bytes:
    """A tiny `.pt` file of laion's, with the words of `clap`."""
    torch.manual_seed(1)
    return _pickle(laion_state(_clap_model(300)))
