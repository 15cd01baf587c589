"""The file of measured rates: what is written comes back, and what is damaged is left out."""

from __future__ import annotations

from pathlib import Path

from bench.records import rates
from bench.records.rates import FILE, Rate, add_rates, read_rates


def rate(number: int) -> Rate:
    return Rate(
        stage="load", name=f"m{number}", version="1", profile="mini", machine="cpu", units=1,
        seconds=0.5, measured_at="2026-11-28T10:00:00+00:00",
    )  # fmt: skip


def test_rates_come_back_in_their_order(tmp_path: Path) -> None:
    add_rates(tmp_path / "cache", [rate(0), rate(1)])
    add_rates(tmp_path / "cache", [rate(2)])
    assert read_rates(tmp_path / "cache") == [rate(0), rate(1), rate(2)]


def test_a_cache_without_the_file_has_none(tmp_path: Path) -> None:
    add_rates(tmp_path / "cache", [])
    assert read_rates(tmp_path / "cache") == []
    assert not (tmp_path / "cache").exists()


def test_a_damaged_line_costs_itself_alone(tmp_path: Path) -> None:
    add_rates(tmp_path, [rate(0)])
    with (tmp_path / FILE).open("a", encoding="utf-8") as file:
        file.write('{"stage": "load", "seconds": NaN}\nnot JSON\n')
        file.write(rate(1).model_dump_json().replace("0.5", "-1") + "\n")
    add_rates(tmp_path, [rate(2)])
    assert read_rates(tmp_path) == [rate(0), rate(2)]


def test_a_file_of_bytes_has_none(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"\xff\xfe\x00")
    assert read_rates(tmp_path) == []


def test_a_long_file_keeps_its_newer_half(tmp_path: Path) -> None:
    every = [rate(number) for number in range(rates.MOST_LINES + 2)]
    add_rates(tmp_path, every)
    assert read_rates(tmp_path) == every[len(every) // 2 :]
