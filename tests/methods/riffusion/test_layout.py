"""How maps lie in memory: where a pass is not compiled on CUDA, as group norm reads them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from methods.acceleration import Acceleration, choose_layout
from methods.riffusion.backbone import Backbone
from tests.dispatched import Watching


@pytest.mark.parametrize(
    ("device", "way", "expected"),
    [
        ("cuda", "eager", torch.contiguous_format),
        ("cuda:1", "graph", torch.contiguous_format),
        ("cuda", "compile", torch.channels_last),
        ("cpu", "eager", torch.channels_last),
    ],
)
def test_passes_on_cuda_that_are_not_compiled_have_contiguous_maps(
    device: str, way: Acceleration, expected: torch.memory_format
) -> None:
    assert choose_layout(torch.device(device), way) == expected


class Conversions(Watching):
    """Counts convolutions and group norms that hand on a map in another layout than they read."""

    count = 0

    def note(self, func: Callable[..., object], args: tuple[object, ...], made: object) -> None:
        """Count it if its maps change their layout."""
        if func is torch.ops.aten.convolution.default:
            self.count += _is_contiguous(args[0]) != _is_contiguous(made)
        if func is torch.ops.aten.native_group_norm.default and isinstance(made, tuple):
            self.count += _is_contiguous(args[0]) != _is_contiguous(made[0])


def _is_contiguous(found: object) -> bool:
    return isinstance(found, torch.Tensor) and found.is_contiguous()


def test_a_pass_with_contiguous_maps_converts_none(tiny_backbone: Backbone) -> None:
    latents, contexts = torch.zeros(2, 4, 8, 8), tiny_backbone.encode_prompt("a piano")
    counted = []
    for layout in (torch.contiguous_format, torch.channels_last):
        tiny_backbone.parts.unet.to(memory_format=layout)
        with torch.no_grad(), Conversions() as conversions:
            tiny_backbone.predict_noise(latents, torch.tensor([3, 700]), contexts.expand(2, -1, -1))
        counted.append(conversions.count)
    contiguous, channels_last = counted
    assert contiguous == 0 < channels_last
