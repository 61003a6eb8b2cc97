"""Images and their versions. A version is named by its number, by an alias, or not at all: then it is the latest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.core import errors, numbers, other_services, paging
from backends.core.dialects import one_at_a_time
from backends.core.events import on
from backends.core.operation import operation
from backends.core.resource import Resource, resource
from backends.core.states import machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backends.core.events import Event
    from backends.core.rows import Row
    from backends.core.types import Context

ALIASES = "aliases"
DEFAULT_PAGE = 10
CREATED = machine(CREATED=set())

IMAGE = resource(
    "Image",
    arn_path="image",
    # aws-samples/sagemaker-studio-custom-image-samples #17, as that of a missing latest version
    exists="The Image with ImageName {name} already exists. Please use a different ImageName.",
    status_member="ImageStatus",
    machine=CREATED,
    derives=("Create", "Describe", "List", "Delete"),
)


class _Versions(Resource):
    """Versions of images; their aliases stand in `hidden`, since no Describe shows them."""

    def named(self, cx: Context, request: Mapping[str, Any]) -> Row:
        image, alias = IMAGE.named(cx, request), request.get("Alias")
        if "Version" in request:
            row = self.get(cx, self.key_of(request))
        else:
            siblings = [row for row in self.children_of(cx, image.key) if alias is None or alias in row.hidden[ALIASES]]
            if not siblings:
                which = "Latest ImageVersion" if alias is None else f"ImageVersion with Alias {alias} and"
                raise errors.not_found(
                    f"{which} with ImageName {image.key} does not exist. Please provide a valid ImageName."
                )
            row = siblings[-1]
        if alias is not None and alias not in row.hidden[ALIASES]:
            raise self.not_found(cx, row.key)
        return row


VERSION = _Versions(
    "ImageVersion",
    arn_path="image-version",
    key=("ImageName", "Version"),
    numbered=True,
    parent=IMAGE,
    status_member="ImageVersionStatus",
    machine=CREATED,
    derives=("Describe", "List", "Delete"),
)


@operation("UpdateImage")
def update_image(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change an image's texts and role, or remove a text."""
    row, gone = IMAGE.named(cx, request), request.get("DeleteProperties", ())
    changes = {k: v for k, v in request.items() if k in IMAGE.shown}
    document = {**{k: v for k, v in row.document.items() if k not in gone}, **changes}
    return {"ImageArn": IMAGE.update(cx, row, document).arn}


@operation("CreateImageVersion", acts_on=("Image",))
def create_image_version(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Store an image's next version. ResourceNotFound without the image, ResourceInUse for another version's alias."""
    image = IMAGE.named(cx, request)
    aliases = _free(cx, image.key, request.get("Aliases", ()))
    # An image that is made again begins with 1 again.
    number = numbers.following(cx, f"ImageVersion:{image.arn}:{image.created}")
    members = {
        **request,
        "Version": number,
        "ImageArn": image.arn,
        "ContainerImage": request["BaseImage"],
        "VendorGuidance": request.get("VendorGuidance", "NOT_PROVIDED"),
    }
    row = VERSION.insert(cx, f"{image.key}/{number}", members, status="CREATED", hidden={ALIASES: aliases})
    return {"ImageVersionArn": row.arn}


def _free(cx: Context, image: str, aliases: Iterable[str]) -> list[str]:
    """Return aliases that no version of an image has. ResourceInUse for one that a version has."""
    one_at_a_time(cx.db, f"ImageVersion {cx.account} {cx.region} {image}")
    taken = {alias for row in VERSION.children_of(cx, image) for alias in row.hidden[ALIASES]}
    if both := taken & set(aliases):  # Unverified
        raise errors.in_use(f"The alias {min(both)} is in use by another version of the image {image}.")
    return sorted(set(aliases))


@operation("UpdateImageVersion")
def update_image_version(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Change what is said of a version, and its aliases. ResourceInUse for another version's alias."""
    row = VERSION.named(cx, request)
    kept = set(row.hidden[ALIASES]) - set(request.get("AliasesToDelete", ()))
    added = _free(cx, row.key.partition("/")[0], set(request.get("AliasesToAdd", ())) - set(row.hidden[ALIASES]))
    changes = {k: v for k, v in request.items() if k in VERSION.shown and k != "Version"}
    row = VERSION.update(cx, row, {**row.document, **changes}, hidden={ALIASES: sorted(kept.union(added))})
    return {"ImageVersionArn": row.arn}


@operation("ListAliases", acts_on=("Image",))
def list_aliases(cx: Context, request: dict[str, Any]) -> dict[str, Any]:
    """Return a page of the aliases of an image, or of one version, in their order. ResourceNotFound without it."""
    image = IMAGE.named(cx, request)
    is_of_one = "Version" in request or "Alias" in request
    versions = [VERSION.named(cx, request)] if is_of_one else VERSION.children_of(cx, image.key)
    aliases = sorted(alias for row in versions for alias in row.hidden[ALIASES])
    size, binding = request.get("MaxResults", DEFAULT_PAGE), paging.binding_of("ListAliases", request)
    if "NextToken" in request:
        (last,) = paging.read_token(cx, request["NextToken"], binding)
        aliases = [alias for alias in aliases if alias > last]
    answer: dict[str, Any] = {"SageMakerImageVersionAliases": aliases[:size]}
    if len(aliases) > size:
        answer["NextToken"] = paging.write_token(cx, [aliases[size - 1]], binding)
    return answer


@on("Image", name="studio.tell_of_image", to=("CREATED",))
def tell_of_image(cx: Context, event: Event) -> None:
    """Have EventBridge told of a new image (guide, "SageMaker Image State Change")."""
    _tell(cx, IMAGE.find_arn(cx, event.arn), "SageMaker Image State Change")


@on("ImageVersion", name="studio.tell_of_image_version", to=("CREATED",))
def tell_of_image_version(cx: Context, event: Event) -> None:
    """Have EventBridge told of a new version."""
    _tell(cx, VERSION.find_arn(cx, event.arn), "SageMaker Image Version State Change")


def _tell(cx: Context, row: Row | None, kind: str) -> None:
    if row is not None:  # else it is gone again
        other_services.put_event(cx, row.arn, kind, row.document)
