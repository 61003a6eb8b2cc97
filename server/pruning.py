"""What recipes were made into, for the command line: list, build, remove what no recipe names any more."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.jobs import images, recipes

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends.core.settings import Settings

DOCKER = "docker:"


def environment_of(settings: Settings, name: str, *, cuda: bool) -> Path:
    """Return the folder of a recipe's environment, made or not."""
    kind = "cuda" if cuda else "cpu"
    number = recipes.lock_hash(images.RECIPES[name], cuda=cuda)
    return settings.cache_dir / "environments" / f"{name}-{kind}-{number}"


def recipes_made(settings: Settings) -> list[dict[str, Any]]:
    """Return every recipe with the images it stands for and what is made of it."""
    stands: dict[str, list[str]] = {name: [] for name in images.RECIPES}
    for repository, name in (*images.REPOSITORIES.items(), *images.LOCAL_IMAGES.items()):
        stands[name].append(repository)
    built = _docker_images()
    rows = []
    for name in images.RECIPES:
        folder = environment_of(settings, name, cuda=False)
        tags = [tag for tag in built if tag.startswith(f"localmaker/{name}:")]
        rows.append(
            {
                "recipe": name,
                "images": stands[name],
                "environment": str(folder) if (folder / "complete").exists() else None,
                "docker": ", ".join(tags) or None,
            }
        )
    return rows


def build(settings: Settings, name: str, *, runner: str, cuda: bool, log_line: Callable[[str], None]) -> str:
    """Make a recipe's environment or image; give where it is. RuntimeError with the reason when it cannot be made."""
    recipe = images.RECIPES[name]
    try:
        if runner == "docker":
            import docker
            from docker.errors import DockerException

            try:
                client = docker.from_env()
            except DockerException as error:
                raise RuntimeError(f"No Docker engine answers: {error}") from error
            return recipes.docker_image(
                recipe, cuda=cuda, docker_client=client, base_image=settings.base_image, log_line=log_line
            )
        return str(recipes.virtual_environment(recipe, cuda=cuda, cache_dir=settings.cache_dir, log_line=log_line))
    except recipes.RecipeError as error:
        raise RuntimeError(str(error)) from error


def superfluous(settings: Settings) -> list[str]:
    """Return the environments and images that no recipe of this version names."""
    known = {environment_of(settings, name, cuda=cuda).name for name in images.RECIPES for cuda in (False, True)}
    folder = settings.cache_dir / "environments"
    stale = (
        [str(path) for path in folder.iterdir() if path.is_dir() and path.name not in known] if folder.is_dir() else []
    )
    hashes = {
        f"localmaker/{name}:{'cuda' if cuda else 'cpu'}-"
        f"{recipes.lock_hash(images.RECIPES[name], cuda=cuda, code=True, base=settings.base_image)}"
        for name in images.RECIPES
        for cuda in (False, True)
    }
    return stale + [f"{DOCKER}{tag}" for tag in _docker_images() if tag not in hashes]


def remove(items: list[str]) -> list[str]:
    """Remove what `superfluous` gave; give what was removed."""
    for item in items:
        if item.startswith(DOCKER):
            import docker

            docker.from_env().images.remove(item.removeprefix(DOCKER), force=True)
        else:
            shutil.rmtree(item, ignore_errors=True)
            Path(f"{item}.lock").unlink(missing_ok=True)
    return items


def _docker_images() -> list[str]:
    """Return the tags of the images that recipes were built into; none without an engine."""
    import docker
    from docker.errors import DockerException

    try:
        with closing(docker.from_env(timeout=5)) as client:
            images = client.images.list(filters={"label": "localmaker.recipe"})
    except DockerException:
        return []
    return [tag for image in images for tag in image.tags]
