"""Trained models score a table through batch transform: joined and filtered, as the library said it, on three kinds of servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.journeys import patients
from tests.transform.test_jobs import Job

if TYPE_CHECKING:
    from tests.site import Site
    from tests.trained import Artifact

GOOD = 0.93


def test_patients_are_scored_as_the_library_scores_them(local: Site, artifacts: dict[str, Artifact]) -> None:
    _, test = patients.split()
    table = "\n".join(",".join((f"patient-{n}", *row[1:])) for n, row in enumerate(test))
    processing = {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"}
    jobs = {
        name: Job(local, {"test.csv": table.encode()}, ModelName=made.model(local, name), DataProcessing=processing)
        for name, made in artifacts.items()
    }
    scores = {}
    for name, job in jobs.items():
        assert job.ended()["TransformJobStatus"] == "Completed"
        rows = [line.split(",") for line in job.outputs()["test.csv.out"].decode().splitlines()]
        assert [row[0] for row in rows] == [f"patient-{n}" for n in range(len(test))]
        scores[name] = [float(row[1]) for row in rows]
        assert patients.accuracy(scores[name], test) >= GOOD
    assert scores["scikit-learn"] == [float(score > 0.5) for score in artifacts["scikit-learn"].scores or ()]  # labels
    assert scores["onnx"] == pytest.approx(scores["xgboost"], abs=1e-4)
