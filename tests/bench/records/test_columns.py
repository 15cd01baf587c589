"""The table for notebooks: every column of every run is explained."""

from bench.records.frame import COLUMNS, RUN_COLUMNS, explain
from bench.records.schema import CellRecord, PlannedCell


def test_exactly_the_fields_of_the_records_are_explained() -> None:
    fields = [*RUN_COLUMNS, *PlannedCell.model_fields, *CellRecord.model_fields]
    assert set(COLUMNS) == set(fields) - {"schema_version", "parameters"}


def test_a_metric_with_a_dot_in_its_name_is_told_from_its_parts() -> None:
    metrics = ["cp", "sf.seen", "./mine.py:Mine"]
    assert explain("sf.seen", metrics).startswith("the reported score")
    assert explain("sf.seen.raw", metrics).startswith("before clipping")
    assert explain("./mine.py:Mine.status", metrics).startswith("ok; silent")
    assert explain("parameter.strength", metrics).startswith("a parameter")
