"""docs/tuning.md: written by docs/tuning.py, whose grids are as large as its searches."""

from __future__ import annotations

import math
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_has_every_search_of_the_script() -> None:
    spec = spec_from_file_location("tuning_page", ROOT / "docs" / "tuning.py")
    assert spec is not None
    assert spec.loader is not None
    page = module_from_spec(spec)
    spec.loader.exec_module(page)
    text = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
    for title, (_, grid, _) in page.TASKS.items():
        assert math.prod(len(values) for _, values in grid.values()) == page.JOBS
        assert f"| {title} | default | 1 |" in text
    for strategy in page.STRATEGIES:
        assert text.count(f"|  | {strategy} | {page.JOBS} (") == len(page.TASKS)
