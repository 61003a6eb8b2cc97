"""What a SageMaker request has to be allowed for: the resources that its component declares."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

import backends
from backends.core.kernel import Kernel
from backends.core.resource import resource
from backends.core.settings import Settings
from server.actions import ServiceRequest, authorizations

if TYPE_CHECKING:
    from collections.abc import Iterator

# A key of two members, the second of which may be missing.
USER = resource("UserProfile", arn_path="user-profile", key=("DomainId", "UserProfileName"))
HERE = "arn:aws:sagemaker:eu-west-1:111122223333:"
ENDPOINT = {"EndpointName": "One", "EndpointConfigName": "Two"}
CASES = [
    ("sagemaker", "CreateEndpoint", ENDPOINT, ["endpoint/one", "endpoint-config/two"]),
    ("sagemaker", "UpdateEndpoint", ENDPOINT, ["endpoint/one", "endpoint-config/two"]),
    ("sagemaker", "CreateEndpointConfig", {"EndpointConfigName": "Two"}, ["endpoint-config/two"]),
    ("sagemaker", "DeleteEndpoint", {"EndpointName": "One"}, ["endpoint/one"]),
    ("sagemaker", "UpdateEndpointWeightsAndCapacities", {"EndpointName": "One"}, ["endpoint/one"]),
    ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "One"}, ["endpoint/one"]),
    ("sagemaker-runtime", "InvokeEndpointAsync", {"EndpointName": "One"}, ["endpoint/one"]),
    ("sagemaker-runtime", "InvokeEndpointWithResponseStream", {"EndpointName": "One"}, ["endpoint/one"]),
    ("sagemaker", "DescribeUserProfile", {"DomainId": "d-1", "UserProfileName": "Al"}, ["user-profile/d-1/al"]),
    ("sagemaker", "DescribeUserProfile", {"UserProfileName": "Al"}, []),
    ("sagemaker", "CreateFeatureGroup", {"FeatureGroupName": "F"}, ["feature-group/f"]),  # nobody has declared it yet
    ("sagemaker", "ListEndpoints", {"NameContains": "o"}, []),
    ("sagemaker", "CreateModelPackage", {"ModelPackageGroupName": "G"}, ["model-package-group/g"]),
    ("sagemaker", "CreateModelPackage", {"ModelPackageName": "P"}, ["model-package/p"]),
    ("sagemaker", "UpdateModelPackage", {"ModelPackageArn": f"{HERE}model-package/g/1"}, ["model-package/g/1"]),
    ("sagemaker", "DeleteModelPackage", {"ModelPackageName": "G/1"}, ["model-package/g/1"]),
    (
        "sagemaker",
        "AssociateTrialComponent",
        {"TrialName": "T", "TrialComponentName": "C"},
        ["experiment-trial/T", "experiment-trial-component/C"],
    ),
    (
        "sagemaker",
        "AddAssociation",
        {"SourceArn": f"{HERE}artifact/1", "DestinationArn": f"{HERE}context/c"},
        ["artifact/1", "context/c"],
    ),
    ("sagemaker", "PutModelPackageGroupPolicy", {"ModelPackageGroupName": "G"}, ["model-package-group/g"]),
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """Yield a kernel that declares what all components do, and is not opened."""
    settings = Settings.read({}, data_dir=tmp_path_factory.mktemp("data"))
    made = Kernel(settings, (*backends.load_components(), sys.modules[__name__]))
    yield made
    made.db.close()


@pytest.mark.parametrize(
    ("service", "operation", "given", "paths"), CASES, ids=[f"{case[1]}-{'-'.join(case[2])}" for case in CASES]
)
def test_a_request_is_authorized_on_what_it_acts_on(
    kernel: Kernel, service: str, operation: str, given: dict[str, Any], paths: list[str]
) -> None:
    cx = kernel.context("111122223333", "eu-west-1")
    requested = authorizations(cx, ServiceRequest(service, operation, given))
    arns = [f"{HERE}{path}" for path in paths]
    assert [each.resource for each in requested] == (arns or ["*"])
    assert {each.action for each in requested} == {f"sagemaker:{operation}"}
