"""What is wrong with a method's parameters is said before a large library is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from bench.api import ConfigError, Entry
from bench.plan.plan import require_parameters
from bench.plan.suite import load_suite
from bench.plugins import catalog
from bench.plugins.choices import parse_method
from bench.plugins.loading import load_class

# Commands one after the other in a fresh interpreter: what each said, and whether it took torch.
TYPE = """
import json, sys
from bench.cli.main import cli
said = []
for words in json.loads(sys.stdin.read()):
    try:
        cli.main(words, standalone_mode=False)
        said.append("no error")
    except Exception as error:
        said.append(str(error))
    if heavy := {"torch", "transformers", "diffusers"} & set(sys.modules):
        said[-1] = f"imported {heavy}"
        break
print(json.dumps(said))
"""
SETTINGS = {
    "tve": ("strength=7", "steps=0", "preset=none", "checkpoint=mine.pt", "e0=n"),
    "rti": (
        "learning_rate=0",
        "guidance_scale=0.5",
        "brs=maybe",
        "e0=init_word:",
        "weight_decay=-1",
    ),
    "musicgen": ("temperature=0", "top_k=many"),
    "musicgen@audiocraft": ("temperature=0",),
    "musicgen-ti": ("crop_s=0", "melody=style", "pseudo_words=0", "init_word=' '"),
    "musicgen-style": ("prompt_s=9", "use=none", "stages=7"),
    "riffusion": ("num_inference_steps=0",),
    "zeta": ("strength=2", "source_guidance=3", "z_last=drop"),
    "ddim-inversion": ("guidance_scale=0",),
    "sdedit": ("strength=0",),
    "steer": ("t_low=980", "t_grid=0"),
    "stylus": ("gamma=2", "layers=some", "width_mode=report"),
    "style-encoder": ("told=tokens", "strength=0"),
    "vocoder": ("phase=mine",),
    "shallow": ("num_layers=0", "init=silence"),
    "vggish": ("thinning=2",),
    "cnn14": ("steps=0",),
    "ssvqvae": ("iterations=0", "style_clips=last"),
    "eq-match": ("amount=9",),
    "envelope-match": ("smoothing_s=-1",),
    "mosaic": ("grain_s=0",),
    "null": ("strength=nan",),
    "ace-step": ("strength=0", "audio_cover_strength=2", "prompt=mine"),
    "stable-audio": ("strength=0.1", "guidance_scale=0.5", "num_inference_steps=0"),
}


def typed(commands: list[list[str]], checkout: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", TYPE],
        input=json.dumps(commands), cwd=checkout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def ways(choice: str, tmp_path: Path, checkout: Path) -> list[list[str]]:
    """Every command that takes a method with parameters."""
    mini = checkout / "datasets" / "mini"
    content, style = next((mini / "content").rglob("*.flac")), str(mini / "style" / "bells")
    given = ["--style", style, "--text", "bells"]
    return [
        ["run", "--methods", choice, "--out", str(tmp_path / "run")],
        ["run", "--suite", "mini", "--methods", choice, "--out", str(tmp_path / "run")],
        ["transfer", "--method", choice, *given[:2], "--content", str(content), "-o", "o.wav"],
        ["fit", "export", choice, "--style", style, "-o", str(tmp_path / "o.safetensors")],
        ["time", "--methods", choice, "--suite", "mini", "--out", str(tmp_path / "time.json")],
    ]


def test_a_misspelt_parameter_of_any_method_is_told_without_torch(
    tmp_path: Path, checkout: Path
) -> None:
    names = list(catalog.methods())
    commands = [way for name in names for way in ways(f"{name}[zzz=1]", tmp_path, checkout)]
    said = typed(commands, checkout)
    wrong = [
        (command, words)
        for command, words in zip(commands, said, strict=False)
        if "parameter 'zzz' is not known" not in words
    ]
    assert wrong == []
    assert len(said) == len(commands)


def test_a_wrong_value_of_any_method_is_told_without_torch(tmp_path: Path, checkout: Path) -> None:
    choices = [(name, one) for name, settings in SETTINGS.items() for one in settings]
    commands = [
        way for name, one in choices for way in ways(f"{name}[{one}]", tmp_path, checkout)[1:3]
    ]
    said = typed(commands, checkout)
    expected = [pair for pair in choices for _ in range(2)]
    wrong = [
        (name, one, words)
        for (name, one), words in zip(expected, said, strict=False)
        if not words.startswith(f"{name}: ") or one.partition("=")[0] not in words
    ]
    assert wrong == []
    assert len(said) == len(commands)
    assert set(SETTINGS) == {name for name, entry in catalog.methods().items() if has_any(entry)}


def has_any(entry: Entry) -> bool:
    """Whether a method has parameters at all."""
    return bool(fields(catalog.method_class(entry).Parameters))


def test_what_one_suite_completes_is_not_refused_for_the_other() -> None:
    """Which of them will run takes torch to know, so it is enough to stand in one."""
    mini, full = load_suite("mini"), load_suite("table2")
    trusting = full.model_copy(update={"parameters": {"tve": {"trust_checkpoint": True}}})
    choice = parse_method("tve[checkpoint=mine.pt]")
    require_parameters([choice], [mini, trusting])
    with pytest.raises(ConfigError, match="trust_checkpoint false"):
        require_parameters([choice], [mini, full])


@pytest.mark.parametrize("name", list(catalog.methods()))
def test_the_catalog_names_the_parameters_of_the_class(name: str) -> None:
    entry = catalog.find_method(name)
    if entry.parameters is not None:
        assert load_class(entry.parameters) is catalog.method_class(entry).Parameters
