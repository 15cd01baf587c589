"""The card of a published run: its head, its tables, and the results for model pages."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard, eval_result_entries_to_yaml, parse_eval_result_entries

sys.path.insert(0, str(Path(__file__).parent))

from building import fail, header, method, run_of, simple, toy

from bench.records.store import Run
from reports import sounds
from reports.card.eval_results import eval_results
from reports.card.licences import licence_page
from reports.card.write import About, card
from reports.card.yaml_text import yaml_text
from reports.tables.placing import placed
from reports.tables.table2 import table2
from reports.text import formats
from reports.text.result_table import Estimate

TABLES = {"cells": "data/cells.parquet", "scores": "data/scores.parquet"}


def about(**changes: object) -> About:
    facts: dict[str, Any] = {
        "repository": "alice/run", "licence": None, "benchmark": "alice/bench", "audio": False,
        "tables": TABLES, "command": "bench",
    }  # fmt: skip
    return About(**(facts | changes))


def full(run: Run) -> Run:
    return replace(run, header=run.header.model_copy(update={"profile": "full"}))


def made(run: Run, **changes: object) -> str:
    return card(run, [table2(run)], about(**changes))


def test_the_head_is_read_by_the_hubs_own_client() -> None:
    head = DatasetCard(made(toy()), ignore_metadata_errors=False).data.to_dict()
    assert (head["license"], head["license_link"]) == ("other", "LICENSE.md")
    assert head["configs"] == [
        {"config_name": "cells", "data_files": "data/cells.parquet", "default": True},
        {"config_name": "scores", "data_files": "data/scores.parquet"},
    ]
    assert "tabular" in head["tags"]


def test_a_licence_that_was_named_and_audio_stand_in_the_head() -> None:
    head = DatasetCard(made(toy(), licence="cc-by-4.0", audio=True)).data.to_dict()
    assert head["license"] == "cc-by-4.0"
    assert "license_link" not in head
    assert "audio" in head["tags"]


def test_table_two_comes_first_as_the_report_writes_it() -> None:
    run = toy()
    text = made(run)
    assert formats.markdown(table2(run)).strip() in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[0] == f"## {table2(run).title}"


def test_mini_models_are_said_to_be_mini_before_any_number() -> None:
    text = made(toy())
    assert text.index("Mini models: never compare") < text.index("## ")
    assert "belong to no repository of a model" in text


def test_licences_name_clips_and_the_weights_of_every_method() -> None:
    weights = method("tve", weights=["hub:a/b@main"], licence="CreativeML OpenRAIL-M")
    dataset = {"name": "musicti", "licence": "not stated", "redistributable": False}
    run = run_of(header([weights], dataset=dataset), {"tve": {"cp": 0.5}})
    page = licence_page(run, None)
    for words in ("dataset musicti", "not stated", "hub:a/b@main", "CreativeML OpenRAIL-M"):
        assert words in page
    assert "has named no licence" in page
    assert "under cc-by-4.0" in licence_page(run, "cc-by-4.0")


@pytest.mark.parametrize("allowed", [True, False, None])
def test_audio_is_for_all_only_where_the_card_allows_it(allowed: bool | None) -> None:
    dataset = {"name": "d", "licence": "l", "redistributable": allowed}
    run = run_of(header([method("tve")], dataset=dataset), {"tve": {"cp": 0.5}})
    assert sounds.may_publish(run) is bool(allowed)


def results(run: Run) -> dict[str, list[dict[str, Any]]]:
    return eval_results(full(run), placed(full(run)), "alice/bench", "https://hub/datasets/a/b")


def test_results_are_read_by_the_hubs_own_client_and_have_no_other_field() -> None:
    found = results(toy())
    assert list(found) == [f".eval_results/{name}.yaml" for name in ("tve", "rti", "musicgen")]
    for entries in found.values():
        read = parse_eval_result_entries(yaml.safe_load(yaml_text(entries)))
        assert [one.task_id for one in read] == ["cp", "sf.heldout"]
        assert {one.dataset_id for one in read} == {"alice/bench"}
        assert {one.source_url for one in read} == {"https://hub/datasets/a/b"}
        assert eval_result_entries_to_yaml(read) == entries


def test_a_result_is_the_mean_of_table_two() -> None:
    (entry,) = [
        e for e in results(toy())[".eval_results/rti.yaml"] if e["dataset"]["task_id"] == "cp"
    ]
    shown = table2(full(toy())).column("cp")[1]
    assert isinstance(shown, Estimate)
    assert entry["value"] == shown.value
    assert entry["date"] == "2026-01-02T03:04:05Z"


def test_a_failed_cell_lowers_a_result_and_is_told() -> None:
    run = fail(toy(), "rti/style0/c0/0")
    before, after = (results(one)[".eval_results/rti.yaml"][0] for one in (toy(), run))
    known = [s.value for (cell, name), s in toy().scores.items()
             if name == "cp" and cell.startswith("rti/") and cell != "rti/style0/c0/0"]  # fmt: skip
    assert after["value"] == pytest.approx(sum(v or 0 for v in known) / (len(known) + 1))
    assert after["value"] < before["value"]
    assert "1 failed, each as the worst score" in after["notes"]


def test_controls_have_no_results_and_labels_become_file_names() -> None:
    entries = [method("tve[strength=0.5]"), method("./a/b.py:Mine"), method("mix", control=True)]
    labels = [entry.label for entry in entries]
    run = run_of(header(entries, metrics=("cp",)), {label: {"cp": 0.4} for label in labels})
    assert list(results(run)) == [
        ".eval_results/tve-strength=0.5.yaml",
        ".eval_results/a-b.py-Mine.yaml",
    ]


def test_placed_marks_the_best_as_table_two_does() -> None:
    run = simple(tve=0.5, rti=0.4, copy_content=0.9)
    found = {one.label: one for one in placed(run)}
    assert [one.control for one in found.values()] == [False, False, True]
    for label, row in zip(found, table2(run).rows, strict=True):
        assert found[label].values["cp"] == row.cells[2]
