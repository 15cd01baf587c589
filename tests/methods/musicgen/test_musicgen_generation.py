"""Sampling from a small MusicGen with random weights, shaped by the full profile's configuration.

The checkpoint's own layout at a hundredth of its width: 32 kHz, 50 frames per second, chroma of
235 frames.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    EncodecConfig,
    EncodecModel,
    LogitsProcessorList,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForCausalLM,
    MusicgenMelodyForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from bench.api import (
    Audio,
    CheckpointError,
    Clip,
    ConfigError,
    ContentError,
    FitRequest,
    Style,
    StyleState,
    TransferRequest,
    UnsupportedError,
)
from methods.musicgen.chroma import one_hot
from methods.musicgen.generation import Conditions, generate_codes, guided
from methods.musicgen.method import MusicgenMelody
from methods.musicgen.sampling import Parameters, Sampling
from tests import rounding

WORDS = ["<pad>", "</s>", "<unk>", "a", "piano", "violin", "organ", "music", "warm"]


def small_model() -> MusicgenMelodyForConditionalGeneration:
    torch.manual_seed(0)
    text = T5Config(vocab_size=len(WORDS), d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    codec = EncodecConfig(
        target_bandwidths=[1.2],
        sampling_rate=32_000,
        audio_channels=1,
        normalize=False,
        use_causal_conv=False,
        upsampling_ratios=[8, 5, 4, 4],
        codebook_size=64,
        codebook_dim=16,
        hidden_size=16,
        num_filters=4,
        num_lstm_layers=1,
    )
    decoder = MusicgenMelodyDecoderConfig(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=32,
        num_codebooks=4,
        pad_token_id=64,
        bos_token_id=64,
    )
    model = MusicgenMelodyForConditionalGeneration(
        text_encoder=T5EncoderModel(text),
        audio_encoder=EncodecModel(codec),
        decoder=MusicgenMelodyForCausalLM(decoder),
    )
    model.config.chroma_length = 235
    with torch.no_grad():  # wide enough that conditions and history matter
        for parameter in model.decoder.parameters():
            parameter.mul_(8.0)
        for layer in model.audio_encoder.quantizer.layers:
            layer.codebook.embed.normal_()
    return model.eval()


def small_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    saved = tmp_path_factory.mktemp("musicgen")
    small_model().save_pretrained(saved)
    small_tokenizer().save_pretrained(saved)
    settings = '{"sampling_rate": 32000, "n_fft": 16384, "hop_length": 4096}'
    (saved / "preprocessor_config.json").write_text(settings)
    return saved


@pytest.fixture(scope="module")
def method(folder: Path) -> MusicgenMelody:
    loaded = MusicgenMelody()
    loaded.load_folder(folder, "cpu")
    return loaded


@pytest.fixture(scope="module")
def model(folder: Path) -> MusicgenMelodyForConditionalGeneration:
    loaded = MusicgenMelodyForConditionalGeneration.from_pretrained(folder)
    loaded.decoder.set_attn_implementation("sdpa")
    loaded.generation_config.pad_token_id = 64
    return loaded.eval()


def conditions(batch: int = 2) -> Conditions:
    text = torch.tensor([[3, 4, 1], [3, 5, 1], [6, 7, 1]])[:batch]
    generator = torch.Generator().manual_seed(1)
    return Conditions(
        text, torch.ones_like(text), torch.randint(0, 12, (3, 235), generator=generator)[:batch]
    )


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def request(seconds: float, seed: int, text: str = "a piano") -> TransferRequest:
    generator = torch.Generator().manual_seed(seed)
    waveform = 0.1 * torch.randn((1, round(32_000 * seconds)), generator=generator)
    clip = Clip(f"clip-{seed}", "test", Audio(waveform.numpy(), 32_000))
    return TransferRequest(clip, StyleState(meta={"text": text}), Parameters(), seed)


def test_the_decoder_does_not_see_the_future(
    model: MusicgenMelodyForConditionalGeneration,
) -> None:
    codes = torch.randint(0, 64, (4, 40), generator=torch.Generator().manual_seed(2))
    changed = codes.clone()
    changed[:, 30:] = 0
    given = conditions(1)
    arguments = {"input_ids": given.text, "input_features": one_hot(given.pitch_class)}
    with torch.no_grad():
        before, after = (
            model(decoder_input_ids=ids, **arguments).logits[:, -40:] for ids in (codes, changed)
        )
    assert torch.equal(before[:, :30], after[:, :30])
    assert not torch.equal(before[:, 30:], after[:, 30:])


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_greedy_codes_are_those_of_the_library(
    model: MusicgenMelodyForConditionalGeneration, guidance_scale: float
) -> None:
    given = conditions()
    ours = generate_codes(model, given, 12, Sampling(guidance_scale, 1, 1.0), generators(0, 1))
    settings = model.generation_config
    settings.bos_token_id = settings.decoder_start_token_id = 64
    decoded = model.generate(
        input_ids=given.text,
        attention_mask=given.mask,
        input_features=one_hot(given.pitch_class),
        do_sample=False,
        guidance_scale=guidance_scale if guidance_scale > 1 else None,
        max_new_tokens=12 + 3,
        logits_processor=LogitsProcessorList(),
    )
    expected = model.audio_encoder.decode(ours[None], [None]).audio_values
    assert decoded.shape == (2, 1, 12 * 640)
    atol = rounding.of_networks(model.audio_encoder.decoder, scale=rounding.magnitude(decoded))
    torch.testing.assert_close(expected, decoded, rtol=0, atol=atol)


def test_guidance_of_one_is_the_conditional_half_and_zero_the_other() -> None:
    logits = torch.arange(8.0).reshape(2, 1, 4)
    assert torch.equal(guided(logits, 1.0), logits[:1])
    assert torch.equal(guided(logits, 0.0), logits[1:])


def test_a_clip_draws_the_same_codes_alone_and_in_any_company(
    model: MusicgenMelodyForConditionalGeneration,
) -> None:
    together = generate_codes(model, conditions(3), 10, Sampling(3.0, 20, 1.0), generators(5, 6, 7))
    given = conditions(3)
    for row, seed in enumerate((5, 6, 7)):
        one = slice(row, row + 1)
        single = Conditions(given.text[one], given.mask[one], given.pitch_class[one])
        alone = generate_codes(model, single, 10, Sampling(3.0, 20, 1.0), generators(seed))
        assert torch.equal(alone[0], together[row])
    turned = Conditions(given.text.flip(0), given.mask.flip(0), given.pitch_class.flip(0))
    again = generate_codes(model, turned, 10, Sampling(3.0, 20, 1.0), generators(7, 6, 5))
    assert torch.equal(again.flip(0), together)


def test_audio_is_the_same_alone_and_in_company(
    method: MusicgenMelody, model: MusicgenMelodyForConditionalGeneration
) -> None:
    requests = [request(0.3, 1), request(0.3, 2, "a warm violin music"), request(0.5, 3)]
    together = method.transfer(requests)
    for item, expected in zip(requests, together, strict=True):
        alone = method.transfer([item])[0]
        loudest = float(abs(alone.waveform).max())
        bound = rounding.of_networks(model.audio_encoder.decoder, scale=loudest)
        assert abs(alone.waveform - expected.waveform).max() <= bound


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    method: MusicgenMelody,
) -> None:
    first, again = (method.transfer([request(0.3, 4)])[0] for _ in range(2))
    content = request(0.3, 4)
    other = TransferRequest(content.content, content.state, content.parameters, 5)
    assert first.digest == again.digest
    assert method.transfer([other])[0].digest != first.digest


@pytest.mark.parametrize("samples", [6400, 6401, 7039])
def test_an_output_has_exactly_the_samples_of_its_content(
    method: MusicgenMelody, samples: int
) -> None:
    output = method.transfer([request(samples / 32_000, 1)])[0]
    assert output.waveform.shape == (1, samples)
    assert output.sample_rate == 32_000


def test_another_text_and_another_melody_change_the_output(method: MusicgenMelody) -> None:
    base, text = request(0.4, 1), request(0.4, 1, "a organ")
    melody = TransferRequest(request(0.4, 2).content, base.state, base.parameters, base.seed)
    digests = {method.transfer([item])[0].digest for item in (base, text, melody)}
    assert len(digests) == 3


def test_a_content_beyond_the_window_is_refused(method: MusicgenMelody) -> None:
    with pytest.raises(ContentError, match=r"lasts 31.00 s.*--duration 30.08"):
        method.transfer([request(31.0, 1)])


def test_a_content_at_another_rate_is_refused(method: MusicgenMelody) -> None:
    item = request(0.3, 1)
    audio = Audio(item.content.audio.waveform.copy(), 44_100)
    wrong = TransferRequest(Clip("c", "t", audio), item.state, item.parameters, 0)
    with pytest.raises(ContentError, match="44100 Hz"):
        method.transfer([wrong])


def test_a_model_without_declared_vocabulary_takes_any_text_but_needs_one(
    method: MusicgenMelody,
) -> None:
    def fit(text: str | None) -> list[StyleState]:
        return method.fit([FitRequest(Style("s", (), text=text), Parameters(), 0)], ignore)

    assert fit("anything at all")[0].meta == {"text": "anything at all"}
    for nothing in (None, "  "):
        with pytest.raises(UnsupportedError, match="has no text"):
            fit(nothing)


def ignore(_fraction: float, _text: str) -> None:
    """Take a report of progress and do nothing."""


def test_an_empty_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    special = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=special, unk_token="<unk>").save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="tokenizer"):
        MusicgenMelody().load_folder(tmp_path, "cpu")


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    for name in ("config.json", "generation_config.json", "preprocessor_config.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing"):
        MusicgenMelody().load_folder(tmp_path, "cpu")


@pytest.mark.parametrize(
    ("name", "value"), [("guidance_scale", 0.5), ("top_k", 0), ("temperature", 0.0)]
)
def test_parameters_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        Parameters(**{name: value})
