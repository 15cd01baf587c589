"""Train the mini MusicGen melody: `python -m methods.musicgen.pretrain STAGE --work FOLDER`.

Stages, in order: `codec`, `quantise`, `lm`, `export`, `evaluate`. Each keeps its progress in
`--work` and resumes there; `--seconds` is the wall clock a stage may spend in all, so a longer
figure continues a finished stage.
`lm` may start as soon as `quantise` has written its codes: tuning the decoder does not change them.

`wide-codec` is the training kit's codec instead: it learns any timbre from an endless stream
(`python -m bench.corpus list`), within `--budget-s` seconds or `--steps` steps, on any `--device`,
and goes on from its checkpoint with `--resume`. Its weights and card are left in `--work`; a
language model knows the codes of the codec it was trained on, and no other.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import EncodecModel, MusicgenMelodyForConditionalGeneration
from transformers.utils import logging as library_logging

from bench.api import BenchError, Json
from bench.corpus.nature import UNHEARD
from bench.corpus.rendering import HELD_OUT_INSTRUMENTS
from bench.corpus.sources import sources_named
from bench.corpus.stream import described
from bench.device import resolve_device
from bench.training.card import export as export_weights
from bench.training.loop import Training
from methods.musicgen.checkpoints import MINI_FOLDER
from methods.musicgen.pretrain import codec, lm, wide_codec
from methods.musicgen.pretrain.data import Corpus, load_corpus
from methods.musicgen.pretrain.evaluate import evaluate
from methods.musicgen.pretrain.export import export
from methods.musicgen.pretrain.model import build_model, build_tokenizer

LOGGER = logging.getLogger(__name__)
_CODEC_RATE, _DECODER_RATE = 8e-4, 5e-4


def codec_stage(work: Path, seconds: float, seed: int) -> None:
    """Train the continuous codec."""
    corpus = load_corpus(work)
    network = codec.initial_codec(corpus, seed)
    recipe = codec.CodecRecipe(seconds, _CODEC_RATE, seed)
    curve = codec.train(network, corpus, recipe, work / "codec.pt")
    scores = codec.evaluate(network, corpus, quantise=False)
    _note(work, "codec", {"curve": curve, "evaluation": scores})


def quantise_stage(work: Path, seconds: float, seed: int) -> None:
    """Fit the code books, write the codes of the corpus, tune the decoder."""
    corpus = load_corpus(work)
    network = EncodecModel(codec.codec_config())
    if (work / "quantised.pt").exists():
        network.load_state_dict(torch.load(work / "quantised.pt", weights_only=True))
    else:
        network.load_state_dict(torch.load(work / "codec.pt", weights_only=True)["codec"])
        latents = codec.encode(network, corpus)
        ratios = codec.fit_quantiser(network, latents, seed)
        torch.save(codec.codes(network, latents), work / "codes.pt")
        torch.save(network.state_dict(), work / "quantised.pt")
        before = codec.evaluate(network, corpus, quantise=True)
        _note(work, "quantise", {"residual_energy": ratios, "evaluation": before})
    recipe = codec.CodecRecipe(seconds, _DECODER_RATE, seed)
    curve = codec.train(network, corpus, recipe, work / "decoder.pt", decoder_only=True)
    scores = codec.evaluate(network, corpus, quantise=True)
    _note(work, "decoder", {"curve": curve, "evaluation": scores})


def lm_stage(work: Path, seconds: float, seed: int) -> None:
    """Train the language model."""
    codes: Tensor = torch.load(work / "codes.pt", weights_only=True)
    texts = lm.TextTable.of(build_tokenizer())
    examples = lm.Examples(load_corpus(work), codes, texts)
    model = build_model(EncodecModel(codec.codec_config()), seed)
    recipe = lm.LanguageRecipe(seconds, seed=seed)
    _note(work, "lm", {"curve": lm.train(model, examples, recipe, work / "lm.pt")})


def trained_model(work: Path) -> MusicgenMelodyForConditionalGeneration:
    """Assemble the newest codec and language model of `work`."""
    network = EncodecModel(codec.codec_config())
    network.load_state_dict(torch.load(work / "quantised.pt", weights_only=True))
    if (work / "decoder.pt").exists():
        network.load_state_dict(torch.load(work / "decoder.pt", weights_only=True)["codec"])
    model = build_model(network, seed=0)
    model.load_state_dict(torch.load(work / "lm.pt", weights_only=True)["model"], strict=False)
    return model


def export_stage(work: Path, folder: Path) -> None:
    """Write the weights, the tokenizer, the vocabulary and the record of training."""
    record = {
        name: json.loads((work / f"{name}.json").read_text())
        for name in ("codec", "quantise", "decoder", "lm")
        if (work / f"{name}.json").exists()
    }
    record["lm"] = {"curve": torch.load(work / "lm.pt", weights_only=True)["curve"]}
    export(trained_model(work), build_tokenizer(), record, folder)


def evaluate_stage(work: Path, folder: Path) -> None:
    """Evaluate the exported weights on held-out clips; add the figures to the training record."""
    corpus: Corpus = load_corpus(work)
    codes: Tensor = torch.load(work / "codes.pt", weights_only=True)
    scores = evaluate(folder, corpus, codes)
    LOGGER.info("%s", json.dumps(scores, indent=1))
    path = folder / "training.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "evaluation": scores}, indent=1) + "\n")


def _note(work: Path, name: str, report: dict[str, object]) -> None:
    LOGGER.info("%s: %s", name, report.get("evaluation"))
    (work / f"{name}.json").write_text(json.dumps(report))


def wide_codec_stage(arguments: argparse.Namespace) -> None:
    """Train the codec of any timbre; leave weights and card in the work folder."""
    budget = {"budget_s": arguments.budget_s, "steps": arguments.steps}
    recipe = replace(wide_codec.RECIPE, **budget, seed=arguments.seed, report_s=arguments.report_s)
    sources = sources_named(arguments.sources.split(","))
    device = resolve_device(arguments.device)
    stream = wide_codec.stream_of(tuple(sources), arguments.seed, device)
    start = None if arguments.fresh else arguments.weights
    network = wide_codec.first_codec(stream, recipe, start)
    training = Training(network, recipe, arguments.work, device=device, resume=arguments.resume)
    held_out = wide_codec.held_out_crops(stream)
    training.run(wide_codec.CodecLesson(network, stream, recipe.batch_size, held_out))
    facts: dict[str, Json] = {
        "began_from": "nothing" if start is None else "the committed codec",
        "sources": described(sources),
        "held_out": [*HELD_OUT_INSTRUMENTS, *UNHEARD],
    }
    LOGGER.info("wrote %s", export_weights(training, arguments.work, facts))


def _add_kit_options(parser: argparse.ArgumentParser) -> None:
    kit = parser.add_argument_group("of the stage wide-codec")
    kit.add_argument("--budget-s", type=float, help="wall clock in all, over all starts")
    kit.add_argument("--steps", type=int, help="steps in all, in place of or beside --budget-s")
    kit.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N")
    kit.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    kit.add_argument("--report-s", type=float, default=180.0, help="between two checkpoints")
    kit.add_argument("--sources", default="procedural,worded", help="see `bench.corpus list`")
    kit.add_argument("--fresh", action="store_true", help="begin with untrained weights")


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(
        prog="python -m methods.musicgen.pretrain", description=__doc__
    )
    stages = ["codec", "quantise", "lm", "export", "evaluate", "wide-codec"]
    parser.add_argument("stage", choices=stages)
    parser.add_argument("--work", type=Path, required=True, help="folder for progress and caches")
    parser.add_argument("--weights", type=Path, default=MINI_FOLDER, help="where export writes")
    parser.add_argument("--seconds", type=float, default=600.0, help="wall clock of the stage")
    parser.add_argument("--seed", type=int, default=0)
    _add_kit_options(parser)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    library_logging.set_verbosity_error()
    torch.set_num_threads(1)
    if arguments.stage == "wide-codec":
        try:
            wide_codec_stage(arguments)
        except BenchError as error:
            sys.exit(f"error: {error}")
        return
    training = {"codec": codec_stage, "quantise": quantise_stage, "lm": lm_stage}
    finishing = {"export": export_stage, "evaluate": evaluate_stage}
    if arguments.stage in training:
        training[arguments.stage](arguments.work, arguments.seconds, arguments.seed)
    else:
        finishing[arguments.stage](arguments.work, arguments.weights)


if __name__ == "__main__":
    main()
