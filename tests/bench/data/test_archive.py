"""A fetched dataset: its archive unpacked with care, counted, and grouped by recording."""

from __future__ import annotations

import io
import json
import shutil
import stat
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.api import DatasetError
from bench.checkout import data_folder
from bench.data.archive import ArchiveCard, unpack
from bench.data.card_model import card_root, read_card
from bench.data.cards import datasets, load_dataset
from bench.data.clips import Dataset
from bench.data.recordings import group_clips, mean_spectrum, write_manifest
from bench.fetching.order import carry_out, describe_order, fetch_dataset, is_complete, make_order
from bench.files import LinkError
from bench.plan.plan import make_plan, prepare_methods
from bench.plan.suite import load_suite

RATE = 8000
CATEGORIES = """adventure color dance funny_dance hiphop piano relax relieve sad_violin twinkle
village violin whistle"""
STYLES = """accordion bird chime church_bell clarinet cleangalss cornet drinkglass empty erhu fire
harmonica harp heartbeat jaw snow step_water water"""


def sound(number: int, rate: int = RATE) -> bytes:
    """Half a second of noise, different for each number."""
    noise = np.random.default_rng(number).uniform(-0.5, 0.5, rate // 2)
    buffer = io.BytesIO()
    soundfile.write(buffer, noise, rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def names_as_published() -> list[str]:
    """179 contents in 13 categories and 74 clips of 18 styles; bird has one, accordion 15."""
    per_category = [14 if n < 10 else 13 for n in range(13)]
    per_style = dict.fromkeys(STYLES.split(), 3) | {"accordion": 15, "bird": 1, "cornet": 13}
    contents = [
        f"audios/content/{category}/{category}{n}.wav"
        for category, count in zip(CATEGORIES.split(), per_category, strict=True)
        for n in range(1, count + 1)
    ]
    styles = [
        f"audios/timbre/{style}/{style}{n}.wav"
        for style, count in per_style.items()
        for n in range(1, count + 1)
    ]
    return [*contents, *styles]


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive laid out as the real one, of other sounds and three rates."""
    rates = (24000, 44100, 48000)
    files = {name: sound(n, rates[n % 3]) for n, name in enumerate(names_as_published())}
    beside = {"audios/.DS_Store": b"x", "__MACOSX/audios/content/a/._a.wav": b"x", "readme": b"x"}
    return zipped(tmp_path_factory.mktemp("archive") / "audios.zip", {**files, **beside})


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder and a lock of one's own."""
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


def fetch(archive: Path) -> Dataset:
    """What `bench fetch musicti --zip` does."""
    path = datasets()["musicti"]
    known = read_card(path)
    return fetch_dataset(known, card_root(known, path), archive)


@pytest.fixture(scope="module")
def kept(published: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    """The folder above a data folder and its lock, and the set that was fetched into it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_DATA", str(home / "data"))
        patch.setenv("BENCH_CACHE", str(home / "cache"))
        dataset = fetch(published)
    assert dataset.contents[0].path.is_relative_to(home / "data")
    return home, dataset


@pytest.fixture
def fetched(kept: tuple[Path, Dataset], monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The set on the machine that it was fetched on; nothing may be changed there."""
    home, dataset = kept
    monkeypatch.setenv("BENCH_DATA", str(home / "data"))
    monkeypatch.setenv("BENCH_CACHE", str(home / "cache"))
    return dataset


def card(**changes: object) -> ArchiveCard:
    counts = {"categories": 1, "contents": 1, "styles": 1, "style_clips": 1}
    values: dict[str, object] = {
        "drive_id": "x",
        "page": "https://example.org",
        "bytes": 10,
        "most_bytes": 100_000,
        "most_files": 10,
        "counts": counts,
    }
    return ArchiveCard.model_validate(values | changes)


SMALL = {"a/content/piano/p1.wav": sound(1), "a/timbre/bell/b1.wav": sound(2)}


def test_the_published_set_is_fetched_from_an_archive(fetched: Dataset) -> None:
    dataset, own_data = fetched, data_folder()
    assert len(dataset.contents) == 179
    assert len({clip.category for clip in dataset.contents}) == 13
    assert len(dataset.styles) == 18
    assert sum(len(style.clips) for style in dataset.styles) == 74
    assert "cleanglass" in {style.id for style in dataset.styles}
    assert not dataset.redistributable
    assert {p.name for p in (own_data / "musicti").iterdir()} == {
        "content",
        "style",
        "manifest.json",
    }
    manifest = json.loads((own_data / "musicti" / "manifest.json").read_text())
    assert {clip["sample_rate"] for clip in manifest["clips"]} == {24000, 44100, 48000}
    assert load_dataset("musicti").digest == dataset.digest


def test_the_suites_of_the_report_fit_the_published_set(fetched: Dataset) -> None:
    cells = {}
    for name in ("table1", "table2", "table2-all", "table2-paper", "table2-2026"):
        suite = load_suite(name)
        plan = make_plan(suite, fetched, prepare_methods(suite))
        cells[name] = len([cell for cell in plan.cells if cell.method == plan.cells[0].method])
        fits = {c.parameters["preset"] for c in plan.cells if c.method_name in {"tve", "rti"}}
        assert fits <= {"paper", "ti"}
    sizes = {"table1": 117, "table2": 537, "table2-all": 537, "table2-paper": 282}
    assert cells == {**sizes, "table2-2026": 117}


def test_the_methods_of_a_suite_share_its_random_pairs(fetched: Dataset) -> None:
    suite = load_suite("table2-paper")
    plan = make_plan(suite, fetched, prepare_methods(suite))
    pairs: dict[str, set[tuple[str, str]]] = {}
    for cell in plan.cells:
        pairs.setdefault(cell.method, set()).add((cell.content, cell.style))
    assert len(pairs) > 1
    assert {frozenset(drawn) for drawn in pairs.values()} == {frozenset(pairs["tve"])}
    assert len({style for _, style in pairs["tve"]}) == 18


def test_what_was_fetched_is_not_fetched_again(fetched: Dataset) -> None:
    order = make_order(["musicti"])
    assert is_complete(order)
    assert "yes" in describe_order(order)
    (line,) = carry_out(order)
    assert line.startswith("dataset musicti: 179 contents, 74 clips of 18 styles")
    assert line.endswith(f"in {data_folder() / 'musicti'}")
    assert fetched.name == "musicti"


def test_one_archive_is_for_one_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="was given for 0 datasets"):
        list(carry_out(make_order(["tve"]), archive=tmp_path / "a.zip"))


def test_without_the_data_a_dataset_names_the_command(own_data: Path) -> None:
    with pytest.raises(DatasetError, match="bench fetch musicti --accept-licences"):
        load_dataset("musicti")
    assert data_folder() == own_data
    assert make_order(["musicti"]).cards == (datasets()["musicti"],)


def test_folders_are_renamed_and_misspellings_mended(tmp_path: Path) -> None:
    files = {"content/piano/p1.wav": sound(1), "x/y/style/cleangalss/c1.wav": sound(2)}
    archive = zipped(tmp_path / "a.zip", files)
    unpack(archive, tmp_path / "set", card(spellings={"cleangalss": "cleanglass"}))
    found = sorted(p.relative_to(tmp_path / "set") for p in (tmp_path / "set").rglob("*.wav"))
    assert [str(p) for p in found] == ["content/piano/p1.wav", "style/cleanglass/c1.wav"]


@pytest.mark.parametrize(
    "name", ["../content/piano/p1.wav", "/content/piano/p1.wav", "a/../../content/p/p.wav", "C:/x"]
)
def test_an_entry_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "a.zip", {**SMALL, name: b"x"})
    with pytest.raises(DatasetError, match="leads out of the folder"):
        unpack(archive, tmp_path / "in" / "set", card())
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zip"]


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("content/piano/p2.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(tmp_path / "a.zip", SMALL)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DatasetError, match="is not a plain file or folder"):
        unpack(path, tmp_path / "set", card())


def test_too_much_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", SMALL)
    with pytest.raises(DatasetError, match="at most 10 and 1000 are expected"):
        unpack(archive, tmp_path / "set", card(most_bytes=1000))
    with pytest.raises(DatasetError, match="has 2 entries"):
        unpack(archive, tmp_path / "set", card(most_files=1))


def test_an_archive_that_states_less_than_it_holds_is_refused(tmp_path: Path) -> None:
    """The sizes in the directory of a zip file are claims of whoever made it."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in SMALL.items():
            archive.writestr(name, data)
        archive.writestr("content/piano/p2.wav", b"\0" * 5_000_000)
    raw = path.read_bytes()
    lie = raw.replace((5_000_000).to_bytes(4, "little"), (1_000).to_bytes(4, "little"))
    path.write_bytes(lie)
    counts = {"contents": 2}
    with pytest.raises(DatasetError, match=r"unpacks to more|not a complete zip"):
        unpack(path, tmp_path / "set", card(counts=counts))
    assert not (tmp_path / "set").exists()


METHODS = (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED)


def packed(path: Path, files: dict[str, bytes], method: int) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_every_way_to_pack_is_read_and_its_corruption_refused(tmp_path: Path, method: int) -> None:
    """Each byte of a member's data is spoilt in turn, in steps; none may end in a traceback."""
    path = packed(tmp_path / "a.zip", SMALL, method)
    unpack(path, tmp_path / "set", card())
    whole = path.read_bytes()
    begin = whole.index(b"p1.wav") + len("p1.wav")
    refused = 0
    for place in [*range(begin, begin + 40), *range(begin + 40, begin + 6000, 500)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            unpack(path, tmp_path / "other", card())
        except DatasetError as error:
            refused += "not a complete zip archive" in str(error) or "a window of" in str(error)
        else:  # a byte that nothing reads, such as the version of LZMA's tool
            assert (tmp_path / "other/content/piano/p1.wav").read_bytes() == sound(1)
            shutil.rmtree(tmp_path / "other")
    assert refused >= 45
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.zip", "set"]


@pytest.mark.parametrize(
    "method", [METHODS[0], *(pytest.param(x, marks=pytest.mark.slow) for x in METHODS[1:3])]
)
def test_what_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path, method: int) -> None:
    """A lie about the size in the list of entries, and a million bytes out of each."""
    path = packed(tmp_path / "a.zip", {**SMALL, "content/piano/p2.wav": b"\0" * (1 << 27)}, method)
    raw = path.read_bytes()
    size = (1 << 27).to_bytes(4, "little")
    path.write_bytes(raw.replace(size, (1 << 16).to_bytes(4, "little")))
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match=r"unpacks to more|not a complete zip"):
            unpack(path, tmp_path / "set", card(counts={"contents": 2}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 150 << 20  # 250 where four kilobytes are read at a time
    assert not (tmp_path / "set").exists()


def test_lzma_that_asks_for_gigabytes_is_refused_before_it_gets_them(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", SMALL, zipfile.ZIP_LZMA)
    raw = bytearray(path.read_bytes())
    window = raw.index(b"p1.wav") + len("p1.wav") + 5
    raw[window : window + 4] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(DatasetError, match="asks for a window of 4294967280 bytes"):
        unpack(path, tmp_path / "set", card())


def test_a_list_of_entries_that_fills_the_memory_is_refused_unread(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {f"{n:0500d}": b"" for n in range(100)}, zipfile.ZIP_STORED)
    with pytest.raises(DatasetError, match=r"a list of entries of \d+ bytes; at most 10 entr"):
        unpack(path, tmp_path / "set", card())


@pytest.mark.parametrize("name", ["content/piano/p\n2.wav", "content/pi\x1bano/p2.wav"])
def test_a_name_with_control_characters_is_refused(tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path / "a.zip", {**SMALL, name: b"x"})
    with pytest.raises(DatasetError, match="has control characters in its name"):
        unpack(archive, tmp_path / "set", card())


def test_what_a_user_put_beside_the_clips_stays(tmp_path: Path) -> None:
    archive, target = zipped(tmp_path / "a.zip", SMALL), tmp_path / "set"
    unpack(archive, target, card())
    (target / "notes.txt").write_text("mine")
    (target / "content" / "piano" / "stale.wav").write_bytes(b"x")
    unpack(archive, target, card())
    assert (target / "notes.txt").read_text() == "mine"
    assert not (target / "content" / "piano" / "stale.wav").exists()


WRONG = {
    "no sound": (
        lambda files: files | dict.fromkeys(list(files)[:1], b"no audio"), "cannot be decoded"
    ),
    "another style": (
        lambda files: {n.replace("/harp/", "/lyre/"): d for n, d in files.items()},
        "style 'harp' of the card has no folder",
    ),
    "a clip twice": (
        lambda files: files | {list(files)[1]: files[next(iter(files))]}, "have the same sound"
    ),
    "too few": (lambda files: dict(list(files.items())[1:]), "contents: 178 and not 179"),
}  # fmt: skip


def test_wrong_first_archives_do_not_lock_the_right_one_out(
    published: Path, own_data: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(published) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for wrong, (change, said) in WRONG.items():
        bad = zipped(tmp_path / f"{wrong}.zip", change(files))
        with pytest.raises(DatasetError, match=said):
            fetch(bad)
        assert not is_complete(make_order(["musicti"]))
        assert not list(own_data.iterdir())
    assert len(fetch(published).contents) == 179


def test_a_folder_of_data_behind_a_link_is_refused(
    published: Path, own_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "mine.txt").write_text("keep")
    own_data.mkdir()
    (own_data / "musicti").symlink_to(tmp_path / "victim")
    with pytest.raises(LinkError, match="nothing is written or deleted through one"):
        fetch(published)
    assert [one.name for one in (tmp_path / "victim").iterdir()] == ["mine.txt"]


def test_counts_that_differ_are_listed(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", SMALL)
    counts = {"categories": 1, "contents": 3, "styles": 1, "style_clips": 2}
    with pytest.raises(DatasetError, match=r"contents: 1 and not 3; style clips: 1 and not 2"):
        unpack(archive, tmp_path / "set", card(counts=counts))


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"<html>")
    with pytest.raises(DatasetError, match="is not a complete zip archive"):
        unpack(tmp_path / "a.zip", tmp_path / "set", card())


@pytest.mark.usefixtures("own_data")
def test_another_archive_under_the_same_name_is_refused(published: Path, tmp_path: Path) -> None:
    first = fetch(published)
    other = tmp_path / "other.zip"
    other.write_bytes(published.read_bytes() + b"\0")
    with pytest.raises(Exception, match="were recorded when it was first fetched"):
        fetch(other)
    assert load_dataset("musicti").digest == first.digest


def test_pieces_of_one_recording_are_grouped(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"harp{n}.wav" for n in (1, 2, 3, 5, 10)]
    dark = [np.cumsum(rng.normal(size=RATE)) for _ in range(2)]
    bright = [rng.normal(size=RATE) for _ in range(3)]
    sounds = dict(zip(paths, [*dark, *bright], strict=True))
    spectra = {p: mean_spectrum(s.astype(np.float32), RATE) for p, s in sounds.items()}
    groups = group_clips(paths, dict.fromkeys(paths, (RATE, 1)), spectra)
    assert [groups[path] for path in paths] == ["harp1", "harp1", "harp3", "harp5", "harp10"]


def test_level_alone_makes_no_other_recording() -> None:
    noise = np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    quiet = mean_spectrum(noise * 0.01, RATE)
    difference = mean_spectrum(noise, RATE) - quiet
    np.testing.assert_allclose(difference, 40.0, atol=1e-6)


def test_a_corrected_manifest_is_followed(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for n, name in enumerate(["content/x/a.wav", "style/bell/b1.wav", "style/bell/b2.wav"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(sound(n))
    write_manifest(root, "0" * 64)
    assert {clip.recording for clip in load_dataset(str(root)).styles[0].clips} == {"b1"}
    text = (root / "manifest.json").read_text()
    first, _, last = text.rpartition('"recording": "b1"')
    (root / "manifest.json").write_text(first + '"recording": "evening"' + last)
    assert [c.recording for c in load_dataset(str(root)).styles[0].clips] == ["b1", "evening"]
    (root / "manifest.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"manifest\.json is damaged"):
        load_dataset(str(root))
