"""Seeds are hashes of what a draw is about."""

import pytest
import torch

from bench.seeds import derive_seed, generator


def test_a_seed_is_the_same_in_every_process() -> None:
    assert derive_seed(0, "accordion", "ode", 1) == 7716890571934151330


def test_joining_parts_differently_gives_other_seeds() -> None:
    lists = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        ("a", "b", "c"),
        ("1",),
        (1,),
        ('a","b',),
        ("a", "b"),
    ]
    assert len({derive_seed(*parts) for parts in lists}) == len(lists)


def test_seeds_fit_in_63_bits_and_do_not_collide() -> None:
    seeds = {derive_seed(0, number) for number in range(20000)}
    assert len(seeds) == 20000
    assert 0 <= min(seeds) < max(seeds) < 2**63


def test_the_generator_draws_the_same_numbers_for_the_same_seed() -> None:
    seed = derive_seed("largest", 2)
    first = torch.randn(8, generator=generator(seed))
    assert torch.equal(first, torch.randn(8, generator=generator(seed)))
    assert not torch.equal(first, torch.randn(8, generator=generator(seed + 1)))


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_the_generator_takes_the_extremes(seed: int) -> None:
    assert generator(seed).initial_seed() == seed
