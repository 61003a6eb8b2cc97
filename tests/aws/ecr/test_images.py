"""Images and layers through boto3."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

from tests.aws.ecr.conftest import DOCKER, INDEX, Registry, digest_of
from tests.aws.ecr.test_repositories import refusal

if TYPE_CHECKING:
    from tests.conftest import LiveServer
    from tests.site import Site

NAME = {"repositoryName": "team/app"}
NOWHERE = f"sha256:{'0' * 64}"


def test_a_pushed_image_is_listed_described_and_given_back(ecr: Any, registry: Registry, account: str) -> None:
    manifest = registry.manifest(b"one", b"two" * 100)
    digest = registry.push("1", manifest).headers["docker-content-digest"]
    registry.push("latest", manifest)
    untagged = registry.push(digest_of(other := registry.manifest(b"three")), other).headers["docker-content-digest"]
    listed = [{"imageDigest": digest, "imageTag": tag} for tag in ("1", "latest")] + [{"imageDigest": untagged}]
    pages = ecr.get_paginator("list_images").paginate(**NAME, PaginationConfig={"PageSize": 1})
    ids = [entry for page in pages for entry in page["imageIds"]]
    assert sorted(ids, key=str) == sorted(listed, key=str)
    assert ecr.list_images(**NAME, filter={"tagStatus": "UNTAGGED"})["imageIds"] == [{"imageDigest": untagged}]
    [about] = ecr.describe_images(**NAME, imageIds=[{"imageTag": "1"}])["imageDetails"]
    size = sum(part["size"] for part in (json.loads(manifest)["config"], *json.loads(manifest)["layers"]))
    assert (about["imageTags"], about["imageSizeInBytes"], about["imageDigest"]) == (["1", "latest"], size, digest)
    assert about["imageManifestMediaType"] == DOCKER
    answer = ecr.batch_get_image(**NAME, imageIds=[{"imageTag": "latest"}, {"imageTag": "none"}, {}])
    assert answer["images"][0]["imageManifest"].encode() == manifest
    assert [f["failureCode"] for f in answer["failures"]] == ["ImageNotFound", "MissingDigestAndTag"]
    code, sentence = refusal(ecr.describe_images, **NAME, imageIds=[{"imageTag": "none"}])
    assert code == "ImageNotFoundException"
    assert sentence == (
        "The image with imageId {imageDigest:'null', imageTag:'none'} does not exist within the repository with name "
        f"'team/app' in the registry with id '{account}'"
    )


def test_an_image_goes_with_its_last_tag_and_not_while_a_list_has_it(ecr: Any, registry: Registry) -> None:
    manifest = registry.manifest(b"one")
    digest = registry.push("a", manifest).headers["docker-content-digest"]
    registry.push("b", manifest)
    entry = {"mediaType": DOCKER, "size": len(manifest), "digest": digest}
    registry.push("list", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(), INDEX)
    gone = ecr.batch_delete_image(**NAME, imageIds=[{"imageTag": "a"}])
    assert gone["imageIds"] == [{"imageDigest": digest, "imageTag": "a"}]
    [failure] = ecr.batch_delete_image(**NAME, imageIds=[{"imageDigest": digest}])["failures"]
    assert failure["failureCode"] == "ImageReferencedByManifestList"
    answer = ecr.batch_delete_image(**NAME, imageIds=[{"imageTag": "list"}, {"imageTag": "b"}])
    assert (len(answer["imageIds"]), answer["failures"]) == (2, [])
    assert ecr.list_images(**NAME)["imageIds"] == []


def test_an_immutable_tag_stays_on_its_image(ecr: Any, registry: Registry) -> None:
    filters = [{"filterType": "WILDCARD", "filter": "dev-*"}]
    ecr.put_image_tag_mutability(
        **NAME, imageTagMutability="IMMUTABLE_WITH_EXCLUSION", imageTagMutabilityExclusionFilters=filters
    )
    digest = registry.push_image("1", b"one")
    registry.push_image("dev-1", b"one")
    registry.push_image("dev-1", b"two")
    answer = registry.push("1", registry.manifest(b"two"))
    assert (answer.status, answer.code) == (400, "TAG_INVALID")
    assert "already exists in the 'team/app' repository" in answer.json["errors"][0]["message"]
    requested = {"imageManifest": registry.manifest(b"two").decode(), "imageTag": "1"}
    assert refusal(ecr.put_image, **NAME, **requested)[0] == "ImageTagAlreadyExistsException"
    assert ecr.describe_images(**NAME, imageIds=[{"imageTag": "1"}])["imageDetails"][0]["imageDigest"] == digest


def test_an_image_is_put_through_the_api_alone(ecr: Any, registry: Registry) -> None:
    layer = bytes(range(256)) * 5000
    digest = digest_of(layer)
    upload = ecr.initiate_layer_upload(**NAME)["uploadId"]
    half = len(layer) // 2
    for first, part in ((0, layer[:half]), (half, layer[half:])):
        sent = {"partFirstByte": first, "partLastByte": first + len(part) - 1, "layerPartBlob": part}
        assert ecr.upload_layer_part(**NAME, uploadId=upload, **sent)["lastByteReceived"] == first + len(part) - 1
    again = {"partFirstByte": 0, "partLastByte": 2, "layerPartBlob": b"abc"}
    assert refusal(ecr.upload_layer_part, **NAME, uploadId=upload, **again)[0] == "InvalidLayerPartException"
    assert refusal(ecr.complete_layer_upload, **NAME, uploadId=upload, layerDigests=[NOWHERE])[0] == (
        "InvalidLayerException"
    )
    ecr.complete_layer_upload(**NAME, uploadId=upload, layerDigests=[digest])
    checked = ecr.batch_check_layer_availability(**NAME, layerDigests=[digest, NOWHERE])["layers"]
    assert [each["layerAvailability"] for each in checked] == ["AVAILABLE", "UNAVAILABLE"]
    with urllib.request.urlopen(ecr.get_download_url_for_layer(**NAME, layerDigest=digest)["downloadUrl"]) as answer:
        assert answer.read() == layer
    assert refusal(ecr.get_download_url_for_layer, **NAME, layerDigest=NOWHERE)[0] == "LayersNotFoundException"
    entry = {"mediaType": "application/octet-stream", "size": len(layer), "digest": digest}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": DOCKER, "config": entry, "layers": [entry]})
    assert ecr.put_image(**NAME, imageManifest=manifest, imageTag="1")["image"]["imageId"]["imageTag"] == "1"
    assert refusal(ecr.put_image, **NAME, imageManifest=manifest, imageTag="1")[0] == "ImageAlreadyExistsException"
    assert registry.request("GET", "manifests/1").body == manifest.encode()
    missing = manifest.replace(digest, NOWHERE)
    assert refusal(ecr.put_image, **NAME, imageManifest=missing, imageTag="2")[0] == "LayersNotFoundException"
    assert refusal(ecr.put_image, **NAME, imageManifest="no", imageTag="2")[0] == "InvalidParameterException"
    assert refusal(ecr.put_image, **NAME, imageManifest=manifest, imageDigest=NOWHERE)[0] == (
        "ImageDigestDoesNotMatchException"
    )


def test_without_docker_the_job_says_that_only_docker_can(local: Site, server: LiveServer) -> None:
    uri = local.client("ecr").create_repository(repositoryName="sagemaker-xgboost")["repository"]["repositoryUri"]
    Registry(server, uri.partition("/")[2]).push_image("1", b"layer")
    for image in (f"{uri}:1", f"{local.account}.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1"):
        request = local.request(AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"})
        local.sagemaker.create_training_job(**request)
        assert f"The image {image} can only run in Docker" in local.ended(request["TrainingJobName"])["FailureReason"]
