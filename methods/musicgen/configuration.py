"""Configurations of MusicGen with codes that its library takes for mistakes.

What a decoder reads before the first code, and beside codes that are delayed, is the number after
those of the codec; its tables have a row more for it. The library checks a configuration when it is
made, knows of that row in some versions and places only, and warns. So configurations are made
without these numbers here, and get them when the library has looked; whether the tables hold them
is checked instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import MusicgenMelodyConfig, MusicgenMelodyDecoderConfig

from bench.api import CheckpointError

# What stands for no code, by the library's names; without a number of its own each is the number
# after the codes.
_NO_CODE = ("pad_token_id", "bos_token_id")


def unnumbered(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a decoder without the numbers that stand for no code.

    Example:
        >>> unnumbered({"vocab_size": 64, "pad_token_id": 64})
        {'vocab_size': 64, 'pad_token_id': None, 'bos_token_id': None}
    """
    return {**settings, **dict.fromkeys(_NO_CODE)}


def number(decoder: MusicgenMelodyDecoderConfig, settings: Mapping[str, Any]) -> None:
    """Give a decoder's configuration the numbers in its settings that stand for no code.

    Raises:
        CheckpointError: The decoder has no row for one of them.
    """
    last = decoder.vocab_size
    for name in _NO_CODE:
        stored = settings.get(name)
        value = last if stored is None else stored
        if not 0 <= value <= last:
            raise CheckpointError(
                f"MusicGen melody: {name} of the decoder is {value}; its tables have rows from 0 "
                f"to {last}. Restore config.json."
            )
        setattr(decoder, name, value)


def decoder_config(settings: Mapping[str, Any]) -> MusicgenMelodyDecoderConfig:
    """The configuration of a decoder by itself, under the library's names.

    Raises:
        CheckpointError: It has no row for what stands for no code.
    """
    made = MusicgenMelodyDecoderConfig(**unnumbered(settings))
    number(made, settings)
    return made


def read_config(folder: Path) -> MusicgenMelodyConfig:
    """The configuration of a model saved in the library's own layout.

    Raises:
        CheckpointError: The decoder has no row for what stands for no code.
    """
    stored, _ = MusicgenMelodyConfig.get_config_dict(folder)
    settings = stored.get("decoder", {})
    config = MusicgenMelodyConfig.from_dict({**stored, "decoder": unnumbered(settings)})
    number(config.decoder, settings)
    return config
