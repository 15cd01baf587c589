"""A step of the decoder looks at what is filled, and draws without waiting for the device."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import MusicgenMelodyForCausalLM

from bench.api import CheckpointError
from methods.acceleration import Acceleration
from methods.musicgen.caches import (
    MOST_PARTS,
    aligned,
    ends,
    part_of,
    parts_worth_recording,
)
from methods.musicgen.configuration import decoder_config
from methods.musicgen.decoding import CachedDecoder
from methods.musicgen.draws import STEPS_AHEAD, draw, gumbel_noise
from methods.musicgen.generation import Guide, continue_codes, guided
from methods.musicgen.sampling import Sampling
from tests import rounding
from tests.dispatched import Watching

PREFIX, COLUMNS, LAYERS, CODES = 12, 56, 2, 64
# Prefix, columns and eight to spare are 76, so 80 places; what 12 leave of them in quarters.
QUARTERS = (32, 48, 64, 80)


def small_decoder() -> MusicgenMelodyForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "ffn_dim": 64, "num_codebooks": 4}
    config = decoder_config({**sizes, "vocab_size": CODES, "num_hidden_layers": LAYERS})
    decoder = MusicgenMelodyForCausalLM(config)
    decoder.set_attn_implementation("sdpa")
    with torch.no_grad():  # wide enough that what came before matters
        for parameter in decoder.parameters():
            parameter.mul_(8.0)
    return decoder.train(mode=False)


@pytest.fixture(scope="module")
def decoder() -> MusicgenMelodyForCausalLM:
    return small_decoder()


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Attended(Watching):
    """Counts the positions that single queries are compared with, and the rows of longer passes."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = self.rows = 0

    def note(self, func: Callable[..., object], args: tuple[object, ...], made: object) -> None:
        """Add the positions of an attention."""
        if "scaled_dot_product" in str(func):
            query, keys = (one for one in args[:2] if isinstance(one, torch.Tensor))
            if query.shape[-2] == 1:
                self.positions += keys.shape[-2]
            else:
                self.rows += len(query)


class Moved(Watching):
    """Counts steps, what is moved from the CPU to another device, and draws in this thread."""

    def __init__(self) -> None:
        super().__init__()
        self.moves = self.steps = self.draws = 0

    def note(self, func: Callable[..., object], args: tuple[object, ...], made: object) -> None:
        """Add what an operation does."""
        given = [one.device.type for one in args if isinstance(one, torch.Tensor)]
        elsewhere = isinstance(made, torch.Tensor) and made.device.type != "cpu"
        self.moves += func is torch.ops.aten._to_copy.default and "cpu" in given and elsewhere
        self.steps += func is torch.ops.aten.topk.default
        self.draws += func is torch.ops.aten.rand.generator


@pytest.mark.parametrize(
    ("way", "parts"), [("eager", None), ("graph", 1), ("graph", 2), ("graph", 4), ("graph", None)]
)
@pytest.mark.usefixtures("in_double")
def test_each_step_reads_as_one_pass_over_everything_does(
    way: Acceleration, parts: int | None
) -> None:
    """The library's own pass without a cache over the prefix and all columns, teacher-forced."""
    decoder = small_decoder().double()
    states = torch.randn(2, PREFIX, 32, generator=generator(0))
    columns = torch.randint(0, CODES, (2, 4, COLUMNS), generator=generator(1))
    with torch.no_grad():
        whole = decoder(input_ids=columns.flatten(0, 1), encoder_hidden_states=states).logits
    expected = whole.reshape(2, 4, PREFIX + COLUMNS, CODES)[:, :, PREFIX:]
    reader = CachedDecoder(decoder, [states], COLUMNS, way, parts)
    read = torch.stack([reader.read(columns[..., step]) for step in range(COLUMNS)], dim=2)
    atol = rounding.of_networks(decoder, scale=rounding.magnitude(expected))
    torch.testing.assert_close(read, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(
    ("way", "parts", "looked_at"),
    [("eager", None, range(1, 81)), ("graph", 1, (80,)), ("graph", 4, QUARTERS)],
)
def test_a_step_looks_at_what_is_filled_up_to_the_end_of_its_part(
    decoder: MusicgenMelodyForCausalLM,
    way: Acceleration,
    parts: int | None,
    looked_at: tuple[int, ...],
) -> None:
    """All of a fixed cache was 80 positions at each of the 55 steps after the first: 4,400."""
    reader = CachedDecoder(decoder, [torch.zeros(2, PREFIX, 32)], COLUMNS, way, parts)
    column = torch.zeros(2, 4, dtype=torch.long)
    reader.read(column)
    with Attended() as seen:
        for _ in range(COLUMNS - 1):
            reader.read(column)
    filled = range(PREFIX + 2, PREFIX + COLUMNS + 1)
    assert seen.positions == LAYERS * sum(min(e for e in looked_at if e >= n) for n in filled)
    assert seen.positions <= LAYERS * 4400


@pytest.mark.parametrize("way", ["eager", "graph"])
@pytest.mark.usefixtures("in_double")
def test_a_prefix_that_all_clips_share_is_read_once(way: Acceleration) -> None:
    decoder = small_decoder().double()
    own, other = torch.randn(2, 3, PREFIX, 32, generator=generator(0))
    shared = other[:1]
    columns = torch.randint(0, CODES, (4, 6, 4), generator=generator(1))
    columns[0] = CODES
    apart = CachedDecoder(decoder, [own, shared.expand(3, -1, -1)], len(columns), way)
    together = CachedDecoder(decoder, [own, shared], len(columns), way)
    expected = [apart.read(column) for column in columns]
    with Attended() as seen:
        read = [together.read(column) for column in columns]
    assert seen.rows == LAYERS * 4
    atol = rounding.of_networks(decoder, scale=rounding.magnitude(torch.stack(expected)))
    torch.testing.assert_close(read, expected, rtol=0, atol=atol)


def test_parts_end_where_memory_is_aligned_and_leave_nothing_out() -> None:
    for prefix in range(1, 300, 7):
        for parts in range(1, MOST_PARTS + 1):
            found = ends(prefix, 512, parts)
            assert found == tuple(sorted(set(found)))
            assert len(found) <= parts
            assert found[-1] == 512
            assert all(end % 16 == 0 and end > prefix for end in found)


def test_as_many_parts_are_recorded_as_gain_most() -> None:
    """Among all numbers of parts, by what they read and what their recordings cost."""

    def cost(parts: int, each: int, added: int) -> float:
        share = sum(part + 1 for part in range(parts)) / parts**2  # of the added, at each step
        return each * added**2 * share + parts * 2.4e11

    for rows in (2, 16, 64, 128, 512):
        for added in (60, 268, 520, 1516):
            each = rows * 2 * 48 * 1536 * 2
            chosen = parts_worth_recording(each, 244, 244 + added)
            costs = {parts: cost(parts, each, added) for parts in range(1, MOST_PARTS + 1)}
            nearby = [cost for parts, cost in costs.items() if abs(parts - chosen) <= 1]
            assert min(costs.values()) == min(nearby)
            assert costs[chosen] <= costs[1]


@pytest.mark.parametrize(
    ("frames", "whole", "looked_at", "filled"),
    [(250, 127_008, 111_104, 93_366), (1500, 2_634_508, 1_781_760, 1_495_241)],
)
def test_the_counts_in_the_report_are_those_of_the_published_model(
    frames: int, whole: int, looked_at: int, filled: int
) -> None:
    """64 clips with guidance, after 235 positions of melody and 8 of text."""
    prefix, columns, each = 243, frames + 3, 128 * 2 * 48 * 1536 * 2
    places = prefix + columns + 8
    steps = range(prefix + 2, prefix + columns + 1)
    chosen = ends(prefix, aligned(places), parts_worth_recording(each, prefix, aligned(places)))
    assert len(steps) * places == whole
    assert sum(part_of(chosen, step) for step in steps) == looked_at
    assert sum(steps) == filled


def test_noise_drawn_ahead_is_that_of_each_clip_step_by_step() -> None:
    steps, shape = STEPS_AHEAD + 5, (2, 16)
    noise = gumbel_noise([generator(5), generator(6)], shape, steps, torch.device("cpu"))
    with Moved() as seen:
        found = torch.stack(list(noise))
    assert found.shape == (steps, 2, *shape)
    assert seen.draws == 2 * 2  # of each clip for the first steps and for the rest
    for row, seed in enumerate((5, 6)):
        own = generator(seed)
        uniform = [torch.rand(shape, generator=own).double().numpy() for _ in range(steps)]
        expected = torch.from_numpy(-np.log(-np.log(np.clip(uniform, 1e-20, 1 - 1e-7)))).float()
        atol = rounding.worst(8, scale=rounding.magnitude(expected))
        torch.testing.assert_close(found[:, row], expected, rtol=1e-5, atol=atol)


def test_draws_follow_the_softmax_of_the_kept_logits() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0]).expand(1, 20_000, 4)
    (noise,) = gumbel_noise([generator(0)], (20_000, 4), 1, logits.device)
    drawn = draw(logits, Sampling(1.0, 3, 0.5), noise)
    share = torch.bincount(drawn.flatten(), minlength=4) / 20_000
    expected = torch.softmax(torch.tensor([4.0, 2.0, 0.0, -torch.inf]), 0)
    torch.testing.assert_close(share, expected, atol=0.01, rtol=0.0)


@pytest.mark.parametrize("frames", [10, STEPS_AHEAD])
def test_the_host_is_asked_for_nothing_between_steps(
    decoder: MusicgenMelodyForCausalLM, frames: int
) -> None:
    """On a device without values, whatever looks at one ends the generation: only its end does.

    Moved there: what is given, how rows share the prefix (two tensors), the table of positions, and
    noise of many steps.
    """
    elsewhere = copy.deepcopy(decoder).to("meta")
    states = [torch.zeros(clips, PREFIX, 32, device="meta") for clips in (2, 1)]
    guide = Guide(tuple(states), lambda logits: guided(logits, 3.0))
    length = torch.empty(2, 4, 0, dtype=torch.long), frames
    own = [generator(0), generator(1)]
    with Moved() as seen, pytest.raises(NotImplementedError, match="Cannot copy out of meta"):
        continue_codes(elsewhere, guide, length, Sampling(3.0, 20, 1.0), own)
    blocks = -(-(frames + 3) // STEPS_AHEAD)
    assert seen.steps == frames + 3
    assert seen.moves == 4 + blocks


def test_a_decoder_has_a_row_for_what_stands_for_no_code() -> None:
    sizes = {"vocab_size": CODES, "hidden_size": 32, "num_attention_heads": 4}
    assert decoder_config(sizes).pad_token_id == decoder_config(sizes).bos_token_id == CODES
    assert decoder_config({**sizes, "pad_token_id": 7}).pad_token_id == 7
    with pytest.raises(CheckpointError, match=r"pad_token_id of the decoder is 65; .* 0 to 64"):
        decoder_config({**sizes, "pad_token_id": CODES + 1})
