"""The settings of jobs in containers. The runner and where its environments lie stand in `core/settings.py`: the command line reads these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from backends.core.declared.settings import ComponentSettings


@dataclass(frozen=True)
class JobSettings:
    """What the user decided about jobs."""

    gpu: Annotated[
        Literal["auto", "cpu"],
        "`auto`: GPU instance types need a GPU; `cpu`: their jobs run on the CPU, said in the log.",
    ] = "auto"
    max_jobs: Annotated[
        int,
        "Hosts of jobs that run at once; 0: one per CPU and at least four, as far as the memory allows 2 GiB each. "
        "What a job starts runs beside it, as many again.",
    ] = 0
    strict_images: Annotated[bool, "Refuse an image whose library versions would be substituted."] = False


SETTINGS = ComponentSettings(JobSettings)
