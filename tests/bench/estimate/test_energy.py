"""Reading energy counters: folders laid out as RAPL's, and what is absent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.estimate.energy import Counter, EnergyMeter, nvml_counters, rapl_counters

RANGE_UJ = 262_143_328_850


def zone(folder: Path, place: str, name: str, energy_uj: int | str) -> Path:
    where = folder / place
    where.mkdir(parents=True, exist_ok=True)
    (where / "name").write_text(f"{name}\n", encoding="ascii")
    (where / "energy_uj").write_text(f"{energy_uj}\n", encoding="ascii")
    (where / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n", encoding="ascii")
    return where / "energy_uj"


@pytest.fixture
def rapl(tmp_path: Path) -> Path:
    """Two packages with their parts, the whole platform, and a package seen twice."""
    zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 500_000)
    zone(tmp_path, "intel-rapl:0:1", "dram", 250_000)
    zone(tmp_path, "intel-rapl:1", "package-1", RANGE_UJ - 2_000_000)
    zone(tmp_path, "intel-rapl:2", "psys", 9_000_000)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    (tmp_path / "intel-rapl").mkdir()
    return tmp_path


def put(folder: Path, place: str, energy_uj: int | str) -> None:
    (folder / place / "energy_uj").write_text(f"{energy_uj}\n", encoding="ascii")


def test_packages_and_memory_are_added_and_their_parts_are_not(rapl: Path) -> None:
    meter = EnergyMeter(["cpu"], powercap=rapl)
    assert meter.joules() == {"cpu": 0.0}
    put(rapl, "intel-rapl:0", 4_000_000)
    put(rapl, "intel-rapl:0:0", 3_000_000)
    put(rapl, "intel-rapl:0:1", 750_000)
    put(rapl, "intel-rapl:2", 90_000_000)
    put(rapl, "intel-rapl-mmio:0", 4_000_000)
    assert meter.joules()["cpu"] == pytest.approx(3.0 + 0.5)


def test_a_counter_that_begins_anew_goes_on(rapl: Path) -> None:
    meter = EnergyMeter(["cpu"], powercap=rapl)
    put(rapl, "intel-rapl:1", 1_000_000)
    assert meter.joules()["cpu"] == pytest.approx(3.0)
    put(rapl, "intel-rapl:1", RANGE_UJ - 1)
    put(rapl, "intel-rapl:0", 1_000_000)
    meter.joules()
    put(rapl, "intel-rapl:1", 999_999)
    assert meter.joules()["cpu"] == pytest.approx((RANGE_UJ + 2_000_000 + 999_999) * 1e-6)


@pytest.mark.parametrize("energy", ["", "none"])
def test_what_becomes_unreadable_is_absent_and_not_0(rapl: Path, energy: str) -> None:
    meter = EnergyMeter(["cpu"], powercap=rapl)
    put(rapl, "intel-rapl:1", energy)
    assert meter.joules() == {}
    put(rapl, "intel-rapl:1", 5)
    assert meter.joules() == {}, "nobody knows what it took meanwhile"


def test_a_zone_without_its_files_is_no_counter(rapl: Path) -> None:
    (rapl / "intel-rapl:0" / "max_energy_range_uj").unlink()
    put(rapl, "intel-rapl:0:1", "secret")
    assert len(rapl_counters(rapl)) == 1


def test_a_machine_without_counters_has_no_energy(tmp_path: Path) -> None:
    with EnergyMeter(["cpu"], powercap=tmp_path / "absent") as meter:
        assert meter.joules() == {}


def test_a_counter_without_a_range_only_rises() -> None:
    values = iter([7_000, 9_500, 12_000])
    counter = Counter(lambda: next(values), 1e-3)
    assert [counter.follow(), counter.follow(), counter.follow()] == [0.0, 2.5, 5.0]


def test_the_reader_ends_with_the_block(rapl: Path) -> None:
    with EnergyMeter(["cpu"], powercap=rapl) as meter:
        assert meter._reader is not None
        assert meter._reader.is_alive()
    assert not meter._reader.is_alive()


LIBRARY = """
from pathlib import Path

class NVMLError(Exception):
    pass

def nvmlInit():
    pass

def nvmlDeviceGetHandleByUUID(uuid):
    return Path(__file__).parent / uuid

def nvmlDeviceGetTotalEnergyConsumption(handle):
    if not handle.exists():
        raise NVMLError("Not Supported")
    return int(handle.read_text())
"""


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two GPUs behind a library with the names of NVML's, whose counters are files."""
    (tmp_path / "pynvml.py").write_text(LIBRARY, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    for name, energy_mj in (("GPU-a", 5_000), ("GPU-b", 90_000)):
        (tmp_path / name).write_text(str(energy_mj), encoding="ascii")
    return tmp_path


def test_gpus_count_in_millijoules(gpus: Path) -> None:
    first, second = nvml_counters(["GPU-a", "GPU-b"])
    assert [first.follow(), second.follow()] == [0.0, 0.0]
    (gpus / "GPU-b").write_text("92500", encoding="ascii")
    assert [first.follow(), second.follow()] == [0.0, 2.5]
    (gpus / "GPU-a").unlink()
    assert first.follow() is None


def test_where_one_gpu_does_not_count_none_is_said_to(gpus: Path) -> None:
    (gpus / "GPU-b").unlink()
    assert nvml_counters(["GPU-a", "GPU-b"]) == []
