"""Where the parts of this checkout lie: one place for every path that starts at its root."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
DATASETS = CHECKOUT / "datasets"
SUITES = CHECKOUT / "bench" / "plan" / "suites"
