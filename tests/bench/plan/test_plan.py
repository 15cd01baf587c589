"""The plan of a run: identities, seeds, chunks, and what a longer plan keeps."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bench.api import (
    Conditioning,
    ConfigError,
    ContentError,
    MethodInfo,
    NoParameters,
    ProfileInfo,
    StyleTransferMethod,
    UnknownNameError,
)
from bench.data.clips import ClipSource, Dataset, StyleSource
from bench.plan.needed import checkpoints_of_suite
from bench.plan.plan import (
    Plan,
    PlannedMethod,
    describe_styles,
    make_plan,
    missing_cells,
    prepare_method,
)
from bench.plan.suite import Suite, derive, load_suite
from bench.plugins.choices import parse_methods
from bench.plugins.kinds import KindHere
from bench.records.schema import PlannedCell


@dataclass(frozen=True, slots=True)
class Settings:
    """Parameters of the planned method."""

    steps: int = field(default=100, metadata={"role": "fit"})
    strength: float = field(default=0.5, metadata={"role": "transfer"})


class Tuned(StyleTransferMethod[Settings]):
    """A method of which a plan needs the parameters alone."""


@dataclass(frozen=True, slots=True)
class Led(Settings):
    """Parameters that decide what is given."""

    words: bool = field(default=False, metadata={"role": "fit"})

    def given(self, usually: tuple[Conditioning, ...]) -> tuple[Conditioning, ...]:
        """Words in the place of what is usual."""
        return ("style text",) if self.words else usually


class Leading(StyleTransferMethod[Led]):
    """A method whose settings decide what it is given."""


class Plain(StyleTransferMethod[NoParameters]):
    """A method without parameters."""


def clip(name: str, category: str, duration_s: float = 5.0) -> ClipSource:
    return ClipSource(
        name, category, Path(f"{name}.wav"), name, 0.0, duration_s, f"digest of {name}", 1
    )


def dataset(*durations_s: float) -> Dataset:
    contents = tuple(clip(f"c{n}", "ab"[n % 2], s) for n, s in enumerate(durations_s or (5.0,) * 5))
    styles = tuple(
        StyleSource(s, "instrument", s, tuple(clip(f"{s}{n}", s) for n in range(4)))
        for s in ("harp", "bell")
    )
    return Dataset("made", "CC0", True, contents, styles)


def suite(**changes: object) -> Suite:
    values: dict[str, object] = {"dataset": "made", "profile": "mini", "chunk_size": 2, "seeds": 2}
    return Suite.model_validate(
        {"name": "s", "methods": ("m",), "controls": (), **values, **changes}
    )


def methods(text: str, longest_s: float | None = None) -> list[PlannedMethod]:
    info = MethodInfo("M", ("content audio",), fits_per_style=True, source="here")
    profile = ProfileInfo(longest_s=longest_s)
    return [
        PlannedMethod(choice, info, profile, KindHere(lambda: Tuned))
        for choice in parse_methods(text)
    ]


def plan_of(text: str = "m", **changes: object) -> Plan:
    return make_plan(suite(**changes), dataset(), methods(text))


def chunks(cells: tuple[PlannedCell, ...]) -> dict[str, list[PlannedCell]]:
    groups = defaultdict(list)
    for cell in cells:
        groups[cell.chunk].append(cell)
    return groups


def test_a_plan_is_the_product_of_what_was_chosen() -> None:
    cells = plan_of("m,n").cells
    assert len(cells) == 2 * 2 * 5 * 2
    assert len({cell.cell_id for cell in cells}) == len(cells)
    places = {(cell.method, cell.style, cell.content, cell.repetition) for cell in cells}
    assert len(places) == len(cells)


def test_the_same_plan_twice_is_the_same() -> None:
    assert plan_of("m,n").cells == plan_of("m,n").cells


def test_methods_share_seeds_and_nothing_else_does() -> None:
    cells = plan_of("m,n").cells
    seeds = defaultdict(set)
    for cell in cells:
        seeds[cell.style, cell.content, cell.repetition].add(cell.seed)
    assert {len(values) for values in seeds.values()} == {1}
    assert len({min(values) for values in seeds.values()}) == len(seeds)


def test_what_is_drawn_for_a_content_alone_is_the_same_in_every_style() -> None:
    cells = plan_of("m,n").cells
    seeds = {(cell.content, cell.repetition, cell.content_seed) for cell in cells}
    assert len(seeds) == len({seed for *_, seed in seeds}) == 10
    assert not {cell.content_seed for cell in cells} & {cell.seed for cell in cells}


def test_a_fit_is_seeded_by_style_and_repetition() -> None:
    seeds = {(cell.style, cell.repetition, cell.fit_seed) for cell in plan_of("m,n").cells}
    assert len(seeds) == len({seed for *_, seed in seeds}) == 4


def test_a_chunk_shares_method_parameters_style_and_repetition() -> None:
    for group in chunks(plan_of("m,n").cells).values():
        assert len(group) <= 2
        assert len({(c.method, c.style, c.repetition, str(c.parameters)) for c in group}) == 1


def test_chunks_are_as_large_as_they_may_be() -> None:
    sizes = [len(group) for group in chunks(plan_of().cells).values()]
    assert sizes == [2, 2, 1] * 4


def test_more_methods_extend_a_plan_and_keep_what_was_there() -> None:
    short, long = plan_of("m"), plan_of("n,m")
    new = missing_cells(long, short.cells)
    assert {cell.method for cell in new} == {"n"}
    assert {cell.cell_id for cell in (*short.cells, *new)} == {cell.cell_id for cell in long.cells}
    assert all(cell in long.cells for cell in short.cells)


def test_more_contents_form_new_chunks() -> None:
    short, long = plan_of(contents=("c0", "c1", "c2")), plan_of()
    new = missing_cells(long, short.cells)
    assert {cell.content for cell in new} == {"c3", "c4"}
    assert not {cell.chunk for cell in new} & {cell.chunk for cell in short.cells}
    assert missing_cells(long, long.cells) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"style_clips": "all"},
        {"duration_s": 2.0},
        {"profile": "full"},
        {"base_seed": 1},
        {"parameters": {"m": {"steps": 7}}},
    ],
)
def test_whatever_changes_a_result_changes_the_identity(changes: dict[str, object]) -> None:
    before = {cell.cell_id for cell in plan_of().cells}
    changed = make_plan(suite(**changes), dataset(), methods("m"))
    assert not before & {cell.cell_id for cell in changed.cells}


def test_a_higher_version_is_another_cell() -> None:
    newer = [replace(m, info=replace(m.info, version="2")) for m in methods("m")]
    ids = {cell.cell_id for cell in make_plan(suite(), dataset(), newer).cells}
    assert not ids & {cell.cell_id for cell in plan_of().cells}


def test_what_does_not_change_a_result_keeps_the_identity() -> None:
    ids = {cell.cell_id for cell in plan_of().cells}
    assert {cell.cell_id for cell in plan_of(chunk_size=5, metrics=("cp",)).cells} == ids


def test_parameters_come_from_the_nearest_table() -> None:
    tables = {"m": {"steps": 7, "strength": 0.1, "styles": {"harp": {"strength": 0.2}}}}
    cells = plan_of("m,m[strength=0.9]", parameters=tables).cells
    found = {(cell.method, cell.style): cell.parameters for cell in cells}
    assert found["m", "bell"] == {"steps": 7, "strength": 0.1}
    assert found["m", "harp"] == {"steps": 7, "strength": 0.2}
    assert found["m[strength=0.9]", "harp"] == {"steps": 7, "strength": 0.9}


def test_defaults_are_written_out() -> None:
    assert plan_of().cells[0].parameters == {"steps": 100, "strength": 0.5}


def test_an_unknown_parameter_is_refused_before_anything_runs() -> None:
    with pytest.raises(UnknownNameError, match=r"'stregth' is not known.*mean 'strength'"):
        plan_of("m[stregth=0.5]")


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"style of dataset made 'hrp'.*mean 'harp'"):
        plan_of(styles=("hrp",))


def test_a_label_that_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="method 'm' is named 2 times"):
        make_plan(suite(), dataset(), methods("m") * 2)


def test_a_clip_longer_than_a_window_names_the_way_out() -> None:
    planned = methods("m", 5.11)
    message = r"content 'c1' is 12\.00 s; m \(mini\) takes at most 5\.11 s.*--duration 5\.1,"
    with pytest.raises(ContentError, match=message):
        make_plan(suite(), dataset(5.0, 12.0, 7.0), planned)
    assert make_plan(suite(duration_s=5.0), dataset(5.0, 12.0, 7.0), planned).cells
    assert make_plan(suite(contents=("c0",)), dataset(5.0, 12.0), planned).cells


def test_the_record_of_styles_names_both_sides() -> None:
    harp = describe_styles(plan_of())["harp"]
    assert harp["text"] == "harp"
    clips, heldout = harp["clips"], harp["heldout_clips"]
    assert isinstance(clips, list)
    assert isinstance(heldout, list)
    assert {*clips, *heldout} == {"harp0", "harp1", "harp2", "harp3"}


def test_a_method_without_parameters_is_planned() -> None:
    planned = replace(methods("m")[0], kind=KindHere(lambda: Plain))
    assert make_plan(suite(), dataset(), [planned]).cells[0].parameters == {}


@pytest.mark.parametrize(
    ("name", "words", "given"),
    [
        ("m", {}, ("content audio",)),
        ("m[words=true]", {}, ("style text",)),
        ("m", {"words": True}, ("style text",)),
        ("m", {"styles": {"harp": {"words": True}}}, ("style text", "content audio")),
        ("m[words=false]", {"words": True}, ("content audio",)),
    ],
)
def test_what_a_method_is_given_is_what_its_settings_for_any_style_say(
    name: str, words: dict[str, object], given: tuple[str, ...]
) -> None:
    planned = replace(methods(name)[0], kind=KindHere(lambda: Leading))
    plan = make_plan(suite(parameters={"m": words}), dataset(), [planned])
    assert plan.methods[0].info.conditioned_on == given


def test_a_method_from_a_file_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = "from bench.api import StyleTransferMethod\nclass Mine(StyleTransferMethod):\n    pass\n"
    path.write_text(text, encoding="utf-8")
    changed = derive(load_suite("mini"), methods=[f"{path}:Mine"], dataset="made")
    planned = prepare_method(changed.choices[0], changed)
    cells = make_plan(derive(changed, styles=["harp"], contents=2), dataset(), [planned]).cells
    assert {cell.method_name for cell in cells} == {f"{path}:Mine"}


def test_random_pairs_are_shared_by_methods_and_repetitions_and_grow() -> None:
    def drawn(**changes: object) -> set[tuple[str, str]]:
        cells = plan_of("m,n", **changes).cells
        return {(cell.content, cell.style) for cell in cells}

    assert len(drawn()) == 10
    few, more = drawn(pairs=4), drawn(pairs=7)
    assert (len(few), len(more)) == (4, 7)
    assert few < more < drawn()
    assert drawn(pairs=4, seeds=1) == few != drawn(pairs=4, base_seed=1)
    with pytest.raises(ConfigError, match=r"pairs is 11; 5 contents and 2 styles give 10"):
        drawn(pairs=11)


def test_a_suite_without_pairs_keeps_its_digest() -> None:
    assert suite().digest == suite(pairs=None).digest != suite(pairs=3).digest


def test_a_clip_as_long_as_the_window_fits() -> None:
    assert make_plan(suite(), dataset(5.0, 5.0), methods("m", 5.0)).cells
    with pytest.raises(ContentError, match=r"is 5\.01 s; m \(mini\) takes at most 5\.00 s"):
        make_plan(suite(), dataset(5.0, 5.01), methods("m", 5.0))


def test_other_sound_under_the_same_name_is_another_cell() -> None:
    def ids(of: Dataset) -> set[str]:
        return {cell.cell_id for cell in make_plan(suite(), of, methods("m")).cells}

    made = dataset()
    contents = tuple(replace(one, digest=f"new {one.digest}") for one in made.contents)
    styles = tuple(
        replace(style, clips=tuple(replace(one, digest=f"new {one.digest}") for one in style.clips))
        for style in made.styles
    )
    texts = tuple(replace(style, text="another text") for style in made.styles)
    for other in (
        replace(made, contents=contents),
        replace(made, styles=styles),
        replace(made, styles=texts),
    ):
        assert not ids(other) & ids(made)


def test_a_parameter_may_choose_the_model_that_is_loaded() -> None:
    chosen, usual = (
        suite(profile="full", methods=(method,), metrics=())
        for method in ("zeta[backbone=audioldm2]", "zeta")
    )
    planned = [prepare_method(one.choices[0], one) for one in (chosen, usual)]
    assert [one.settings for one in planned] == [(("backbone", "audioldm2"),), ()]
    assert [one.profile.sample_rate for one in planned] == [16_000, 44_100]
    needed = [[found.id for found in checkpoints_of_suite(one)] for one in (chosen, usual)]
    assert needed == [["cvssp/audioldm2"], ["riffusion/riffusion-model-v1"]]
    (own, *_), (other, *_) = (
        make_plan(one, dataset(), [made]).cells
        for one, made in zip((chosen, usual), planned, strict=True)
    )
    assert own.parameters["backbone"] == "audioldm2"
    assert "backbone" not in other.parameters


def test_all_styles_of_a_method_share_its_model() -> None:
    for_all = suite(profile="full", parameters={"zeta": {"backbone": "audioldm2"}})
    (choice,) = parse_methods("zeta")
    assert prepare_method(choice, for_all).profile.sample_rate == 16_000
    per_style = {"zeta": {"styles": {"harp": {"backbone": "audioldm2"}}}}
    with pytest.raises(ConfigError, match="style 'harp' chooses a model of zeta; all styles of a"):
        prepare_method(choice, suite(profile="full", parameters=per_style))
