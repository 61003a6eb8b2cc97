"""A script's requirements.txt is installed for its job alone, from where this machine's pip installs."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from tests.conftest import LiveServer
from tests.site import SCIKIT_LEARN, Site, packed
from tests.trained import script_mode

if TYPE_CHECKING:
    from pathlib import Path

NAME = "localmaker_test_package"
SCRIPT = f"import {NAME}, pathlib; pathlib.Path('/opt/ml/model/said').write_text({NAME}.WORD)"


def wheel(folder: Path) -> None:
    """Write a wheel of one module."""
    folder.mkdir()
    info = f"{NAME}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{NAME}-1.0-py3-none-any.whl", "w") as file:
        file.writestr(f"{NAME}.py", "WORD = 'installed'\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 1.0\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", f"{NAME}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def test_requirements_are_installed_for_the_job_alone(tmp_path: Path, account: str) -> None:
    wheel(tmp_path / "wheels")
    live = LiveServer(tmp_path / "data", environment={"PIP_FIND_LINKS": str(tmp_path / "wheels")})
    live.start()
    site = Site(live, account, "process")
    try:
        hyperparameters = script_mode(site, SCRIPT)
        files = {"train.py": SCRIPT, "requirements.txt": f"--no-index\n{NAME}==1.0\n"}
        code = site.upload({"sourcedir.tar.gz": packed(files)})
        with_requirements = {**hyperparameters, "sagemaker_submit_directory": f'"{code}sourcedir.tar.gz"'}
        algorithm = {"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File"}
        request = site.request(AlgorithmSpecification=algorithm, HyperParameters=with_requirements)
        site.sagemaker.create_training_job(**request)
        job = site.ended(request["TrainingJobName"])
        assert job["TrainingJobStatus"] == "Completed", "\n".join(site.lines(request["TrainingJobName"]))
        assert site.artifact(job) == {"said": b"installed"}
        request = site.request(AlgorithmSpecification=algorithm, HyperParameters=hyperparameters)
        site.sagemaker.create_training_job(**request)
        job = site.ended(request["TrainingJobName"])
        assert f"No module named '{NAME}'" in job["FailureReason"]
    finally:
        site.close()
        live.end_jobs()
        live.stop()
