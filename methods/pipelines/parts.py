"""The parts of a pipeline: reading them from a folder, and running the largest in fewer bits.

Parts are read one by one, by the classes named here, because a pipeline's own index asks for a
noise schedule that needs another library, or for classes under names that have gone.

**Conventions**: inside a pipeline a sound is float32 (batch, channel, sample).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from bench.api import Clip, ContentError, Waveform
from bench.device import Precision
from bench.weights import check_tokenizer


@contextmanager
def accepting_old_norms() -> Iterator[None]:
    """Leave unsaid that the library's autoencoders use a weight norm that torch renames."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*weight_norm` is deprecated", FutureWarning)
        yield


@accepting_old_norms()
def read_network(library_class: Any, folder: Path) -> Any:  # noqa: ANN401 - diffusers is untyped
    """A network of diffusers in float32, from safetensors."""
    options = {"use_safetensors": True, "local_files_only": True, "torch_dtype": torch.float32}
    return library_class.from_pretrained(str(folder), **options)


def read_reduced(library_class: Any, folder: Path, precision: Precision) -> Reduced:  # noqa: ANN401 - diffusers is untyped
    """The same in fewer bits, for a pipeline whose other parts have all of theirs."""
    options = {"use_safetensors": True, "local_files_only": True}
    network = library_class.from_pretrained(
        str(folder), **options, torch_dtype=getattr(torch, precision)
    )
    return Reduced(network)


def read_text_encoder(library_class: Any, folder: Path) -> Any:  # noqa: ANN401 - any class of the library
    """A text encoder of transformers in float32."""
    return library_class.from_pretrained(
        str(folder), use_safetensors=True, local_files_only=True, dtype=torch.float32
    )


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """A tokenizer that knows words.

    Raises:
        CheckpointError: It tells no two texts apart.
    """
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        str(folder), local_files_only=True
    )
    check_tokenizer(tokenizer, folder)
    return tokenizer


class Reduced(nn.Module):
    """A network in fewer bits that is float32 to whoever calls it.

    A pipeline gives its latents the format of its transformer; so only the products of the
    transformer are rounded to it, and neither the latents nor what decodes them.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    @property
    def config(self) -> Any:  # noqa: ANN401 - diffusers is untyped
        """Of the network."""
        return self.network.config

    @property
    def dtype(self) -> torch.dtype:
        """What goes in and comes out."""
        return torch.float32

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return next(self.network.parameters()).device

    def forward(self, *given: object, **named: object) -> tuple[Tensor, ...]:
        """The network's outputs as float32."""
        own = next(self.network.parameters()).dtype
        inputs = [_as(value, own) for value in given]
        by_name = {name: _as(value, own) for name, value in named.items()}
        made: tuple[Tensor, ...] = self.network(*inputs, **by_name)
        return tuple(tensor.float() for tensor in made)


def _as(value: object, dtype: torch.dtype) -> object:
    is_number = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(dtype) if isinstance(value, Tensor) and is_number else value


def settle(parts: Iterable[nn.Module], device: str) -> None:
    """Put networks into inference on a device."""
    for part in parts:
        part.train(mode=False).requires_grad_(requires_grad=False).to(device)


def as_channels(waveforms: Iterable[Waveform], channels: int) -> Tensor:
    """Sounds (sample,) of one length as a batch whose channels are all equal."""
    batch = torch.stack([torch.from_numpy(waveform.copy()) for waveform in waveforms])
    return batch[:, None].repeat(1, channels, 1)


def require_rate(content: Clip, sample_rate: int, model: str) -> None:
    """Refuse a clip of another rate than the model's.

    Raises:
        ContentError: It has another.
    """
    if content.audio.sample_rate != sample_rate:
        raise ContentError(
            f"content '{content.id}' has {content.audio.sample_rate} Hz; {model} takes "
            f"{sample_rate} Hz. Resample it."
        )
