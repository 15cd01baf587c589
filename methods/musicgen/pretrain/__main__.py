"""Train the mini MusicGen melody: `python -m methods.musicgen.pretrain STAGE --work FOLDER`.

Stages, in order: `codec`, `quantise`, `lm`, `export`, `evaluate`. Those that train take a budget of
`--budget-s` seconds or `--steps` steps and any `--device`, leave checkpoint, curve, weights and
card in `--work`, and go on from the checkpoint with `--resume`.
`lm` may start as soon as `quantise` has written the codes of the corpus: tuning the decoder, which
`quantise` ends with, does not change them. `codes` writes those of a codec that is there already,
for a language model that is to go with it.

`wide-codec` is the codec of any timbre: it learns from an endless stream
(`python -m bench.corpus list`). In the same folder `codes`, `lm`, `export` and `evaluate` go on
with it; where no codec was trained, with the committed one. A language model knows the codes of
the codec it was trained on, and no other; `wide-decoder` goes on with the decoder alone, so that
the codes stay. Where a codec went on from the committed one, its codes are much as they were, and
`lm --go-on` starts with the committed language model: it learns them sooner than from nothing.

`kit` and `kit-codec` write a folder that trains language model or codec on a machine with a GPU and
without a network, or add to one (`make kit`).
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

import torch
from transformers import EncodecModel, MusicgenMelodyForConditionalGeneration
from transformers.utils import logging as library_logging

from bench.api import BenchError, ConfigError, Json
from bench.corpus.nature import UNHEARD
from bench.corpus.rendering import HELD_OUT_INSTRUMENTS
from bench.corpus.sources import FLUID, NATURE, sources_named
from bench.corpus.stream import CropStream, described
from bench.device import resolve_device
from bench.training.card import export as export_weights
from bench.training.card import read_export
from bench.training.kit import DEFAULT_FOLDER, require_free
from bench.training.loop import Training
from bench.training.options import add_training_options, recipe_asked
from bench.training.recipe import Recipe
from methods.musicgen.checkpoints import MINI_FOLDER
from methods.musicgen.pretrain import codec, lm, wide_codec
from methods.musicgen.pretrain.data import Material, load_corpus
from methods.musicgen.pretrain.export import export
from methods.musicgen.pretrain.kit import LANGUAGE_MODEL, add_codec, add_language_model
from methods.musicgen.pretrain.model import build_model, build_tokenizer

LOGGER = logging.getLogger(__name__)
MATERIAL = "material.npz"  # of the language model
_HEARD = described([FLUID, NATURE])  # instruments of one, bells of the other
_SAYS: dict[str, Json] = {"sources": _HEARD, "held_out": [*HELD_OUT_INSTRUMENTS]}


def codec_stage(options: argparse.Namespace) -> None:
    """Train the continuous codec."""
    corpus = load_corpus(options.work, options.clips)
    recipe, device = recipe_asked(codec.RECIPE, options), resolve_device(options.device)
    network = codec.initial_codec(corpus, recipe.seed).to(device)
    training = Training(network, recipe, options.work, device=device, resume=options.resume)
    training.run(codec.CropLesson(network, corpus, recipe, device))
    LOGGER.info("wrote %s", export_weights(training, options.work, _SAYS))
    scores = codec.evaluate(network.cpu(), corpus, quantise=False)
    _note(options.work, "codec", {"evaluation": scores})


def quantise_stage(options: argparse.Namespace) -> None:
    """Fit the code books, write the codes of the corpus, tune the decoder."""
    work, corpus = options.work, load_corpus(options.work, options.clips)
    network = EncodecModel(codec.codec_config())
    if (work / "quantised.pt").exists():
        network.load_state_dict(torch.load(work / "quantised.pt", weights_only=True))
    else:
        network.load_state_dict(_average(work, codec.RECIPE.name))
        latents = codec.encode(network, corpus)
        ratios = codec.fit_quantiser(network, latents, options.seed)
        codec.material(network, latents, corpus).write(work / MATERIAL)
        torch.save(network.state_dict(), work / "quantised.pt")
        before = codec.evaluate(network, corpus, quantise=True)
        _note(work, "quantise", {"residual_energy": ratios, "evaluation": before})
    recipe, device = recipe_asked(codec.DECODER_RECIPE, options), resolve_device(options.device)
    network.to(device).encoder.requires_grad_(requires_grad=False)
    training = Training(network, recipe, work, device=device, resume=options.resume)
    training.run(codec.CropLesson(network, corpus, recipe, device, quantise=True))
    LOGGER.info("wrote %s", export_weights(training, work, _SAYS))
    _note(work, "decoder", {"evaluation": codec.evaluate(network.cpu(), corpus, quantise=True)})


def codes_stage(options: argparse.Namespace) -> None:
    """Write the codes of the corpus as the codec of the folder has them, or the committed one.

    Raises:
        ConfigError: A language model was begun in the folder, and not with the codes of this codec.
    """
    network, begun = codec_of(options), options.work / f"{lm.RECIPE.name}.pt"
    own, known = codec.identity(network), _codec_of_material(options.work / MATERIAL)
    if begun.exists() and known != own:
        raise ConfigError(
            f"the language model in {begun} was begun with the codes of "
            f"{known or 'an unknown codec'}, and these would be of {own}; with them it would go on "
            f"wrongly. Remove {lm.RECIPE.name}.* there, or name another folder."
        )
    corpus = load_corpus(options.work, options.clips)
    latents = codec.encode(network, corpus)
    codec.material(network, latents, corpus).write(options.work / MATERIAL)


def _codec_of_material(path: Path) -> str | None:
    """Whose codes a file holds; None where there is none, or it does not say."""
    try:
        return Material.read(path).codec
    except ConfigError:
        return None


def lm_stage(options: argparse.Namespace) -> None:
    """Train the language model."""
    material = Material.read(options.work / MATERIAL)
    examples = lm.Examples(material, lm.TextTable.of(build_tokenizer()))
    recipe, device = recipe_asked(lm.RECIPE, options), resolve_device(options.device)
    model = build_model(EncodecModel(codec.codec_config()), recipe.seed)
    part = lm.trained_part(model)
    began = "nothing"
    if options.go_on:
        committed = wide_codec.committed_model(options.weights)
        part.load_state_dict(lm.trained_part(committed).state_dict())
        began = f"the committed one, of codec {codec.identity(committed.audio_encoder)}"
    model.to(device)
    training = Training(part, recipe, options.work, device=device, resume=options.resume)
    held_out = examples.validation(lm.CURVE_CLIPS).to(device)
    training.run(lm.LanguageLesson(model, examples, recipe, device, held_out))
    facts: dict[str, Json] = _SAYS | {"codec": material.codec, "began_from": began}
    LOGGER.info("wrote %s", export_weights(training, options.work, facts))


def codec_of(options: argparse.Namespace) -> EncodecModel:
    """The codec that was trained in the work folder, or else the committed one."""
    work, network = options.work, EncodecModel(codec.codec_config())
    tuned = [one.name for one in (wide_codec.DECODER_RECIPE, codec.DECODER_RECIPE)]
    ready = [name for name in tuned if (work / f"{name}.pt").exists()]
    if ready:
        network.load_state_dict(_average(work, ready[0]))
    elif (work / "quantised.pt").exists():
        network.load_state_dict(torch.load(work / "quantised.pt", weights_only=True))
    elif (work / f"{wide_codec.NAME}.pt").exists():
        network.load_state_dict(_average(work, wide_codec.NAME))
    else:
        network = wide_codec.committed_codec(options.weights)
    network.train(mode=False)
    return network


def trained_model(options: argparse.Namespace) -> MusicgenMelodyForConditionalGeneration:
    """The language model of the work folder, around the codec whose codes it knows.

    Raises:
        ConfigError: It was trained on the codes of another codec than `codec_of` has.
    """
    network = codec_of(options)
    weights, card = read_export(options.work, lm.RECIPE.name)
    own, known = codec.identity(network), card.get("codec")
    if own != known:
        raise ConfigError(
            f"the language model in {options.work} knows the codes of codec {known}, and the codec "
            f"there is now {own}; with it, it would play something else. Write the codes again "
            "with the stage `codes`, then train `lm` anew."
        )
    model = build_model(network, seed=0)
    lm.trained_part(model).load_state_dict(weights)
    return model


def _average(work: Path, name: str) -> dict[str, torch.Tensor]:
    """Averaged weights of a checkpoint, in full precision."""
    state = torch.load(work / f"{name}.pt", weights_only=True, map_location="cpu")
    average: dict[str, torch.Tensor] = state["average"]
    return average


def export_stage(options: argparse.Namespace) -> None:
    """Write the weights, the tokenizer, the vocabulary and the record of training."""
    of_codec = ("codec", codec.RECIPE.name, "quantise", "decoder", codec.DECODER_RECIPE.name)
    of_any = (wide_codec.NAME, wide_codec.DECODER_RECIPE.name)
    record = {
        name: json.loads((options.work / f"{name}.json").read_text())
        for name in (*of_codec, *of_any, lm.RECIPE.name)
        if (options.work / f"{name}.json").exists()
    }
    export(trained_model(options), build_tokenizer(), record, options.out or options.weights)


def evaluate_stage(options: argparse.Namespace) -> None:
    """Evaluate the exported weights on held-out clips; add the figures to the training record."""
    from methods.musicgen.pretrain.evaluate import evaluate  # needs librosa and scikit-learn

    corpus, folder = load_corpus(options.work, options.clips), options.out or options.weights
    scores = evaluate(folder, corpus, Material.read(options.work / MATERIAL))
    LOGGER.info("%s", json.dumps(scores, indent=1))
    path = folder / "training.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "evaluation": scores}, indent=1) + "\n")


def _note(work: Path, name: str, report: dict[str, object]) -> None:
    LOGGER.info("%s: %s", name, report.get("evaluation"))
    (work / f"{name}.json").write_text(json.dumps(report))


def wide_codec_stage(options: argparse.Namespace) -> None:
    """Train the codec of any timbre; leave weights and card in the work folder."""
    stream = _stream(options)
    start = None if options.fresh else options.weights
    network = wide_codec.first_codec(stream, recipe_asked(wide_codec.RECIPE, options), start)
    began = "nothing" if start is None else "the committed codec"
    _train_wide(options, wide_codec.RECIPE, network, stream, began)


def wide_decoder_stage(options: argparse.Namespace) -> None:
    """Go on with the decoder of the folder's codec, or of the committed one; codes stay."""
    stream = _stream(options)
    network = codec_of(options).to(stream.device)
    began = f"codec {codec.identity(network)}"
    network.encoder.requires_grad_(requires_grad=False)
    _train_wide(options, wide_codec.DECODER_RECIPE, network, stream, began)


def _stream(options: argparse.Namespace) -> CropStream:
    sources = tuple(sources_named(options.sources.split(",")))
    return wide_codec.stream_of(sources, options.seed, resolve_device(options.device))


def _train_wide(
    options: argparse.Namespace,
    recipe: Recipe,
    network: EncodecModel,
    stream: CropStream,
    began: str,
) -> None:
    asked, alone = recipe_asked(recipe, options), recipe is wide_codec.DECODER_RECIPE
    training = Training(network, asked, options.work, device=stream.device, resume=options.resume)
    held_out = wide_codec.held_out_crops(stream)
    training.run(wide_codec.CodecLesson(network, stream, asked.batch_size, held_out, alone))
    facts: dict[str, Json] = {
        "began_from": began,
        "sources": described(stream.sources),
        "held_out": [*HELD_OUT_INSTRUMENTS, *UNHEARD],
    }
    LOGGER.info("wrote %s", export_weights(training, options.work, facts))


def kit_stage(options: argparse.Namespace) -> None:
    """Carry the language model, with codes of the committed codec where there are no others."""
    folder, material = options.out or DEFAULT_FOLDER, options.work / MATERIAL
    require_free(folder, LANGUAGE_MODEL)
    if not material.is_file():
        codes_stage(options)
    add_language_model(folder, material=material, wheels=options.wheels)


def kit_codec_stage(options: argparse.Namespace) -> None:
    """Carry the codec of any timbre."""
    folder = options.out or DEFAULT_FOLDER
    add_codec(folder, weights=options.weights, wheels=options.wheels)


STAGES = {
    "codec": codec_stage,
    "quantise": quantise_stage,
    "codes": codes_stage,
    "lm": lm_stage,
    "export": export_stage,
    "evaluate": evaluate_stage,
    "wide-codec": wide_codec_stage,
    "wide-decoder": wide_decoder_stage,
    "kit": kit_stage,
    "kit-codec": kit_codec_stage,
}


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(
        prog="python -m methods.musicgen.pretrain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--work", type=Path, required=True, help="folder for progress and caches")
    parser.add_argument("--weights", type=Path, default=MINI_FOLDER, help="the committed model")
    parser.add_argument("--out", type=Path, help="of export: --weights; of a kit: build/kit")
    parser.add_argument("--wheels", type=Path, help="folder of wheels that a kit carries")
    parser.add_argument("--clips", type=int, default=2400, help="of the corpus")
    parser.add_argument(
        "--sources", default="procedural,worded", help="of wide-codec and wide-decoder"
    )
    parser.add_argument("--fresh", action="store_true", help="wide-codec: from untrained weights")
    parser.add_argument(
        "--go-on", action="store_true", help="lm: from the committed one; its codec went on, too"
    )
    add_training_options(parser, "of the stages that train")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    library_logging.set_verbosity_error()
    torch.set_num_threads(1)
    try:
        STAGES[options.stage](options)
    except BenchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
