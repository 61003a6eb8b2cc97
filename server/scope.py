"""A signature's scope against what a request asks for, where moto answers: its target, its Action and Version, or its path.

Moto does what the scope says; a request that was made for another service is refused with AWS's sentence instead of being read
as something that it is not. Sources: IAM User Guide, "Troubleshoot AWS Signature Version 4"; botocore's models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from api_specs import model
from backends.core import errors
from server.listener import hosts
from server.protocol import rest_route
from server.route import FORM, RUNTIME_SERVICES

if TYPE_CHECKING:
    from server.identify import Identity
    from server.types import HttpRequest

SIGNED_AS = {
    "IoTSecuredTunneling": ("iotsecuretunneling",), "aco-automation": ("compute-optimizer-automation",),
    "airflow": ("mwaa",), "airflow-serverless": ("mwaa-serverless",), "aoss": ("opensearchserverless",), "aps": ("amp",),
    "apigateway": ("apigateway", "apigatewayv2"), "appconfig": ("appconfig", "appconfigdata"),
    "applicationinsights": ("application-insights",),
    "aws-marketplace": ("meteringmarketplace", "marketplace-agreement", "marketplace-entitlement"),
    "bedrock": ("bedrock", "bedrock-data-automation-runtime"), "cassandra": ("keyspaces", "keyspacesstreams"),
    "cloudcontrolapi": ("cloudcontrol",), "cloudhsm": ("cloudhsm", "cloudhsmv2"), "cloudwatch": ("cloudwatchomni",),
    "dynamodb": ("dynamodb", "dynamodbstreams"), "elasticfilesystem": ("efs",), "elasticloadbalancing": ("elb", "elbv2"),
    "elasticmapreduce": ("emr",), "es": ("es", "opensearch"), "events": ("events", "eventbridgev2"),
    "forecast": ("forecast", "forecastquery"), "iotdata": ("iot-data",), "kinesisanalytics": ("kinesisanalytics", "kinesisanalyticsv2"),
    "mgh": ("mgh", "migrationhub-config"), "mobiletargeting": ("pinpoint",), "monitoring": ("cloudwatch",),
    "mturk-requester": ("mturk",), "osm": ("opensearchmemory",), "partnercentral": ("partnercentral-revenue-measurement",),
    "rds": ("rds", "docdb", "neptune"), "s3": ("s3", "s3control"), "servicequotas": ("service-quotas",),
    "ses": ("ses", "sesv2", "mailmanager"), "sms-voice": ("pinpoint-sms-voice-v2",), "sso": ("sso-admin",),
    "states": ("stepfunctions",), "tagging": ("resourcegroupstaggingapi",), "timestream": ("timestream-query", "timestream-write"),
    "voiceid": ("voice-id",),
}  # fmt: skip
"""Services by the name that they are signed for, where that is another than botocore's or where several share it."""
QUERY = (
    "sqs", "sns", "sts", "iam", "cloudformation", "autoscaling", "elbv2", "elb", "rds", "redshift", "ses", "elasticache",
    "elasticbeanstalk", "cloudsearch", "ec2",
)  # fmt: skip
REST = (
    "lambda",
    "batch",
    "eks",
    "efs",
    "scheduler",
    "route53",
    "sesv2",
    "pipes",
    "apigatewayv2",
    "kafka",
    *RUNTIME_SERVICES,
)
"""Services among which the right one is looked for, when a request's own does not have what it asks for."""
TARGETS = {
    "TrentService": "kms", "AmazonSQS": "sqs", "DynamoDB_20120810": "dynamodb", "AmazonSSM": "ssm",
    "Kinesis_20131202": "kinesis", "AWSEvents": "events", "AWSStepFunctions": "states", "SageMaker": "sagemaker",
}  # fmt: skip
"""What stands before the dot of a target -> the name that it must be signed for; of others the prefix is named."""


def check(request: HttpRequest, identity: Identity) -> None:
    """Raise AWS's error for a request that is signed for another service, or sent to another region, than what it asks for."""
    form = request.headers.get("content-type", "").startswith(FORM)
    code = "SignatureDoesNotMatch" if form else "InvalidSignatureException"
    right = _right_service(request, identity.signing_name)
    if right:
        raise errors.AwsError(code, f"Credential should be scoped to correct service: '{right}'.", 403)
    check_region(request, identity, code)


def check_region(request: HttpRequest, identity: Identity, code: str) -> None:
    """Raise AWS's error for a request that is sent to another region than its signature is for."""
    host = hosts.aws_host(request.host)
    if host is not None and host.region and host.region != identity.region:
        raise errors.AwsError(code, f"Credential should be scoped to a valid region, not '{identity.region}'.", 403)


def services_of(name: str) -> tuple[str, ...]:
    """Return the services, by botocore's names, that are signed for a name; none, where it is nobody's."""
    return SIGNED_AS.get(name) or ((name,) if name in model.service_names() else ())


def _right_service(request: HttpRequest, name: str) -> str:
    """Return what a request should have been signed for; empty where it is, or where nobody has what it asks for."""
    own = services_of(name)
    prefix = request.headers.get("x-amz-target", "").partition(".")[0]
    if prefix:
        known = any(model.load_service(service).metadata.get("targetPrefix") == prefix for service in own)
        return "" if known else TARGETS.get(prefix, prefix)
    requested = dict(parse_qsl(request.query_string.decode("latin-1")))
    if request.headers.get("content-type", "").startswith(FORM):
        requested |= dict(parse_qsl(request.body.decode("latin-1")))
    if "Action" in requested:
        action, version = requested["Action"], requested.get("Version", "")
        return "" if not own or _having(own, action, version) else _signing_name(_having(QUERY, action, version))
    if not own or _routing(own, request):
        return ""
    return _signing_name(_routing(REST, request))


def _having(services: tuple[str, ...], action: str, version: str) -> str:
    """Return the first service that has an action, in a version of its API where one is named."""
    for service in services:
        if model.has_operation(action, service) and version in {"", model.load_service(service).metadata["apiVersion"]}:
            return service
    return ""


def _routing(services: tuple[str, ...], request: HttpRequest) -> str:
    """Return the first service that has an operation at a request's method and path."""
    for service in services:
        loaded = model.load_service(service)
        if loaded.metadata["protocol"].startswith("rest-") and rest_route.matcher(loaded).match(request) is not None:
            return service
    return ""


def _signing_name(service: str) -> str:
    return str(model.load_service(service).signing_name) if service else ""
