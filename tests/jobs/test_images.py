"""Official URIs resolve to recipes whatever account and region; the rest is left to Docker."""

from __future__ import annotations

import pytest

from backends.jobs.images import RECIPES, SubstitutionRefusedError, real_version, resolve

ECR = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("uri", "recipe"),
    [
        (f"{ECR}/sagemaker-scikit-learn:1.4-2-cpu-py3", "scikit_learn"),
        ("121021644041.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-xgboost:1.7-1", "xgboost"),
        ("450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-xgboost:3.0-5", "xgboost"),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", "xgboost"),
        (
            "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker",
            "pytorch",
        ),
        ("763104351884.dkr.ecr.us-west-2.amazonaws.com/pytorch-inference:2.6.0-gpu-py312", "pytorch"),
        ("236514542706.dkr.ecr.us-east-1.amazonaws.com/sagemaker-base-python-310:1.0", "base_python"),
        ("173754725891.dkr.ecr.us-east-1.amazonaws.com/sagemaker-spark-processing:3.5-cpu-py312-v1.1", "spark"),
        ("localmaker/inference", "inference"),
        ("000000000000.dkr.ecr.us-east-1.amazonaws.com/my-own:latest", None),
        ("xgboost:1", None),
        ("my/sagemaker-xgboost:1.7-1", None),
        ("python:3.11-slim", None),
        ("registry.example.com:5000/team/image@sha256:" + "0" * 64, None),
    ],
)
def test_a_uri_names_its_recipe(uri: str, recipe: str | None) -> None:
    image = resolve(uri)
    assert (image.uri, image.recipe) == (uri, recipe)
    assert recipe is not None or image.substitution is None


def test_a_substitution_names_both_versions() -> None:
    ours = RECIPES["xgboost"].versions(cuda=False)["xgboost"]
    sentence = resolve(f"{ECR}/sagemaker-xgboost:1.7-1").substitution
    assert sentence == f"sagemaker-xgboost:1.7-1 has xgboost 1.7; this job runs with xgboost {ours}."


def test_strict_images_refuse_a_substitution_and_nothing_else() -> None:
    with pytest.raises(SubstitutionRefusedError, match=r"has scikit-learn 1\.2; .* refuses that"):
        resolve(f"{ECR}/sagemaker-scikit-learn:1.2-1-cpu-py3", strict=True)
    torch = RECIPES["pytorch"].versions(cuda=False)["torch"]
    same = resolve(f"763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:{torch}-cpu-py311", strict=True)
    assert same.substitution is None
    assert resolve("my-own:1", strict=True).recipe is None


@pytest.mark.parametrize(
    ("repository", "tag", "version"),
    [
        ("sagemaker-xgboost", "1.7-1", "1.7"),
        ("sagemaker-xgboost", "0.90-1-cpu-py3", "0.90"),
        ("sagemaker-scikit-learn", "0.20.0-cpu-py3", "0.20.0"),
        ("xgboost", "1", "0.72"),
        ("pytorch-training", "2.6.0-gpu-py312-cu126-ubuntu22.04-sagemaker", "2.6.0"),
        ("pytorch-training", "nightly", None),
    ],
)
def test_tags_tell_versions(repository: str, tag: str, version: str | None) -> None:
    assert real_version(repository, tag) == version


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_is_complete_and_its_locks_are_exact(name: str) -> None:
    recipe = RECIPES[name]
    assert (recipe.folder / "README.md").is_file()
    assert (recipe.folder / "__main__.py").is_file()
    for cuda in (False, True):
        lines = [line for line in recipe.requirements(cuda=cuda).read_text().splitlines() if not line.startswith("#")]
        assert lines
        assert all(line.count("==") == 1 and "/" not in line and "+" not in line for line in lines)
        assert set(recipe.versions(cuda=cuda)) | {"onnxruntime"} == {*recipe.packages, "onnxruntime"}
    assert recipe.train_command("py")[-2:] == (f"containers.{name}", "train")
    assert recipe.serve_command("py")[-2:] == (f"containers.{name}", "serve")


def test_a_cpu_lock_brings_no_cuda() -> None:
    for recipe in RECIPES.values():
        assert "nvidia" not in recipe.requirements(cuda=False).read_text()
