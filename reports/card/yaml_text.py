"""Plain values as YAML, by the library that the hub's client brings and reads its cards with."""

from __future__ import annotations


def yaml_text(value: object) -> str:
    """Lists, mappings with their keys in order, texts and numbers as a block of YAML."""
    from huggingface_hub import utils

    return str(utils.yaml_dump(value, sort_keys=False))  # type: ignore[attr-defined] # not listed
