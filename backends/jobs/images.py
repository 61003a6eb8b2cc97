"""Which image is what: one table from official URIs to our recipes. Everything else is a Docker image, used as it is.

An official URI is `<account>.dkr.ecr.<region>.amazonaws.com[.cn]/<repository>:<tag>`; account and region do not matter,
the repository names the recipe (contract: training.md §12). Tags name the versions that the real image has; what the
recipe has instead is said in a sentence.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTAINERS = Path(__file__).resolve().parents[2] / "containers"
_URI = re.compile(
    r"(?:(?P<account>\d{12})\.dkr\.ecr[.-](?:fips\.)?(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/)?(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?P<digest>@sha256:[0-9a-f]+)?"
)


class SubstitutionRefusedError(Exception):
    """LOCALMAKER_STRICT_IMAGES=1 and the recipe has other versions than the image; the message is the sentence."""


@dataclass(frozen=True)
class Recipe:
    """A folder in `containers/`: how to make what an official image is, with Docker or in a virtual environment.

    `packages` are the libraries whose versions the table of tags compares. `trains` is False for one that only serves.
    `commands` are the programs it has of its own; `debian` the packages that its image needs.
    """

    name: str
    packages: tuple[str, ...]
    trains: bool = True
    commands: tuple[str, ...] = ("train", "serve")
    debian: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The recipe's own folder; the Docker build context is its parent, since the toolkit and the Dockerfile are shared."""
        return CONTAINERS / self.name

    def requirements(self, *, cuda: bool) -> Path:
        """Return the lock file: exact versions for CPU or for CUDA."""
        return self.folder / f"requirements.{'cuda' if cuda else 'cpu'}.txt"

    def train_command(self, python: Path | str = "python") -> tuple[str, ...]:
        """Return what `docker run <image> train` comes to, for an environment's python."""
        return self._command(python, "train")

    def serve_command(self, python: Path | str = "python") -> tuple[str, ...]:
        """Return what `docker run <image> serve` comes to, for an environment's python."""
        return self._command(python, "serve")

    def versions(self, *, cuda: bool) -> dict[str, str]:
        """Return the locked version of each of `packages`, by its name as a user knows it."""
        lines = self.requirements(cuda=cuda).read_text(encoding="utf-8").splitlines()
        locked = dict(line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))
        return {p: locked[name] for p in self.packages for name in (p, f"{p}-cpu") if name in locked}

    def _command(self, python: Path | str, mode: str) -> tuple[str, ...]:
        # -P: neither the working directory nor the user's code may shadow `containers`.
        return (str(python), "-P", "-m", f"containers.{self.name}", mode)


@dataclass(frozen=True)
class Image:
    """What a URI means. `recipe` is None for an image that only Docker can run; `substitution` is a sentence for the job's log, or None."""

    uri: str
    recipe: str | None = None
    substitution: str | None = None


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("scikit_learn", ("scikit-learn",)),
        Recipe("xgboost", ("xgboost",)),
        Recipe("pytorch", ("torch",)),
        Recipe("inference", ("onnxruntime",), trains=False),
        Recipe("base_python", ("sagemaker",), trains=False),
        Recipe("aws_lambda", ("awslambdaric", "boto3"), trains=False, commands=("serve",)),
        Recipe(
            "spark",
            ("pyspark",),
            trains=False,
            commands=("train", "serve", "smspark-submit"),
            debian=("default-jre-headless",),
        ),
    )
}

REPOSITORIES: dict[str, str] = {
    "sagemaker-scikit-learn": "scikit_learn",
    "sagemaker-xgboost": "xgboost",
    "xgboost": "xgboost",
    "pytorch-training": "pytorch",
    "pytorch-inference": "pytorch",
    "sagemaker-base-python-38": "base_python",
    "sagemaker-base-python-310": "base_python",
    "sagemaker-spark-processing": "spark",
}
"""Official repository -> recipe."""

LOCAL_IMAGES = {f"localmaker/{recipe}": recipe for recipe in RECIPES}
"""Names for what has no official image of its own, such as the ONNX server: `localmaker/inference`."""

XGBOOST_TAGS = {"1": "0.72", "latest": "0.72"}
"""The first-generation repository `xgboost` tags its image by generation, not by version."""


def resolve(uri: str, *, strict: bool = False, cuda: bool = False) -> Image:
    """Return what `uri` means.

    Raises SubstitutionRefusedError under `strict` (LOCALMAKER_STRICT_IMAGES=1) when the recipe's library versions are not those of the tag.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        return Image(uri)
    repository, tag = match["repository"], match["tag"] or "latest"
    recipe = LOCAL_IMAGES.get(repository)
    if recipe is not None:
        return Image(uri, recipe)
    if match["account"] is None or repository not in REPOSITORIES:
        return Image(uri)
    recipe = REPOSITORIES[repository]
    sentence = _substitution(RECIPES[recipe], repository, tag, cuda=cuda)
    if sentence and strict:
        raise SubstitutionRefusedError(f"{sentence} LOCALMAKER_STRICT_IMAGES=1 refuses that.")
    return Image(uri, recipe, sentence)


def built_in(uri: str, hyperparameters: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Return the recipe of a training image whose own algorithm runs, empty for a script of the user's and for other images."""
    is_script = "sagemaker_program" in hyperparameters or "SAGEMAKER_PROGRAM" in environment
    return "" if is_script or not uri else resolve(uri).recipe or ""


def tag_of(uri: str) -> str:
    """Return what tells a recipe's code which release it stands in for: the tag, `0.72` for the old `xgboost`, or ""."""
    match = _URI.fullmatch(uri)
    if match is None:
        return ""
    return XGBOOST_TAGS.get(match["tag"] or "latest", "") if match["repository"] == "xgboost" else match["tag"] or ""


def real_version(repository: str, tag: str) -> str | None:
    """Return the library version that the real image of this tag has, or None when the tag does not say.

    `1.7-1` is version 1.7, container revision 1; `2.6.0-cpu-py312-ubuntu22.04-sagemaker` is version 2.6.0.
    """
    if repository.startswith("sagemaker-base-python"):
        return None  # its tags count the image's own revisions
    if repository == "xgboost":
        return XGBOOST_TAGS.get(tag)
    match = re.match(r"(\d+(?:\.\d+)+)", tag)
    return match.group(1) if match else None


def _substitution(recipe: Recipe, repository: str, tag: str, *, cuda: bool) -> str | None:
    """Return the sentence that names both versions, or None where they agree as far as the tag goes."""
    real = real_version(repository, tag)
    ours = _locked(recipe.name, cuda)
    if real is None or real == ours or ours.startswith(f"{real}."):
        return None
    return f"{repository}:{tag} has {recipe.packages[0]} {real}; this job runs with {recipe.packages[0]} {ours}."


@functools.cache
def _locked(recipe: str, cuda: bool) -> str:
    return next(iter(RECIPES[recipe].versions(cuda=cuda).values()))
