"""LOCALMAKER_IAM=enforce: what a principal's policies do not allow is refused by every service, and changes nothing."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore import UNSIGNED

from tests.aws.test_iam import TRUST, allow, refused, signed_by
from tests.conftest import LiveServer
from tests.processing import processor
from tests.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTAINER = {"PrimaryContainer": {"Image": "i"}}


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    live = LiveServer(tmp_path_factory.mktemp("enforced") / "data", {"iam": "enforce"})
    live.start()
    yield live
    live.end_jobs()
    live.stop()


@pytest.fixture
def iam(enforced: LiveServer, account: str) -> Any:
    """Return IAM as the account's owner, who may do everything."""
    return enforced.client("iam", account)


@pytest.fixture
def user(enforced: LiveServer, iam: Any) -> Callable[..., Any]:
    """Return `user(policy, ...)("s3")`: a client of a user who has these inline policies and nothing else."""

    def make(*documents: str, name: str = "ann") -> Callable[[str], Any]:
        iam.create_user(UserName=name)
        for number, document in enumerate(documents):
            iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=document)
        return partial(signed_by, enforced, iam.create_access_key(UserName=name)["AccessKey"])

    return make


def test_nothing_is_allowed_that_no_policy_allows(enforced: LiveServer, user: Callable[..., Any], account: str) -> None:
    client = user()
    arn = f"arn:aws:iam::{account}:user/ann"
    assert client("sts").get_caller_identity()["Arn"] == arn
    sentence = (
        f"User: {arn} is not authorized to perform: sagemaker:ListModels on resource: *"
        " because no identity-based policy allows the sagemaker:ListModels action"
    )
    assert refused(client("sagemaker").list_models) == ("AccessDeniedException", sentence, 403)
    denied: dict[str, tuple[str, dict[str, Any], str, str]] = {
        "s3": ("list_buckets", {}, "AccessDenied", 's3:ListAllMyBuckets on resource: "*"'),
        "iam": ("get_user", {"UserName": "ann"}, "AccessDenied", f"iam:GetUser on resource: {arn}"),
        "logs": ("create_log_group", {"logGroupName": "g"}, "AccessDeniedException", "log-group:g:*"),
        "sqs": ("create_queue", {"QueueName": "q"}, "AccessDeniedException", f"sqs:us-east-1:{account}:q"),
        "sns": ("create_topic", {"Name": "t"}, "AuthorizationError", f"sns:us-east-1:{account}:t"),
        "lambda": ("get_function", {"FunctionName": "f"}, "AccessDeniedException", "lambda:GetFunction"),
        "sagemaker-runtime": (
            "invoke_endpoint",
            {"EndpointName": "E", "Body": b""},
            "AccessDeniedException",
            "endpoint/e",
        ),
    }
    for service, (operation, given, code, part) in denied.items():
        answered = refused(partial(getattr(client(service), operation), **given))
        assert (answered[0], answered[2]) == (code, 403), service
        assert part in answered[1]
    assert "QueueUrls" not in enforced.client("sqs", account).list_queues()


def test_a_policy_opens_what_it_names(enforced: LiveServer, user: Callable[..., Any], account: str) -> None:
    bucket = f"home-{account}"
    owner = enforced.client("s3", account)
    owner.create_bucket(Bucket=bucket)
    for key in ("ann/a", "ann/b", "bob/a"):
        owner.put_object(Bucket=bucket, Key=key, Body=b"x")
    own_keys = f"arn:aws:s3:::{bucket}/${{aws:username}}/*"
    listing = allow(
        "s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition={"StringLike": {"s3:prefix": "${aws:username}/*"}}
    )
    deny = allow("s3:GetObject", "*/b")
    deny = deny.replace("Allow", "Deny").replace("*/b", f"arn:aws:s3:::{bucket}/*/b")
    s3 = user(allow(["s3:GetObject", "s3:PutObject"], own_keys), listing, deny)("s3")
    assert s3.get_object(Bucket=bucket, Key="ann/a")["Body"].read() == b"x"
    code, message, status = refused(lambda: s3.get_object(Bucket=bucket, Key="ann/b"))
    assert (code, status) == ("AccessDenied", 403)
    assert message.endswith("with an explicit deny in an identity-based policy")
    assert refused(lambda: s3.get_object(Bucket=bucket, Key="bob/a"))[0] == "AccessDenied"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="ann/")["Contents"]] == ["ann/a", "ann/b"]
    assert refused(lambda: s3.list_objects_v2(Bucket=bucket))[0] == "AccessDenied"
    assert refused(lambda: s3.put_object(Bucket=bucket, Key="bob/a", Body=b"y"))[0] == "AccessDenied"
    s3.copy_object(Bucket=bucket, Key="ann/c", CopySource=f"{bucket}/ann/a")
    for source in ("bob/a", "ann/b"):
        copy = partial(s3.copy_object, Bucket=bucket, Key="ann/d", CopySource=f"{bucket}/{source}")
        assert refused(copy)[0] == "AccessDenied"
    gone = {"Objects": [{"Key": "ann/a"}, {"Key": "bob/a"}]}
    assert refused(lambda: s3.delete_objects(Bucket=bucket, Delete=gone))[0] == "AccessDenied"
    kept = [o["Key"] for o in owner.list_objects_v2(Bucket=bucket)["Contents"]]
    assert kept == ["ann/a", "ann/b", "ann/c", "bob/a"]


def test_nobody_reads_a_bucket_unasked(enforced: LiveServer, account: str) -> None:
    owner = enforced.client("s3", account)
    owner.create_bucket(Bucket=f"closed-{account}")
    owner.put_object(Bucket=f"closed-{account}", Key="k", Body=b"x")
    unsigned = enforced.client("s3", account, signature_version=UNSIGNED)
    assert refused(lambda: unsigned.get_object(Bucket=f"closed-{account}", Key="k")) == (
        "AccessDenied",
        "Access Denied",
        403,
    )
    assert refused(lambda: unsigned.put_object(Bucket=f"closed-{account}", Key="k", Body=b"y"))[0] == "AccessDenied"
    assert owner.get_object(Bucket=f"closed-{account}", Key="k")["Body"].read() == b"x"


def test_groups_add_and_boundaries_limit(iam: Any, user: Callable[..., Any]) -> None:
    sagemaker = user()("sagemaker")
    iam.create_group(GroupName="team")
    arn = iam.create_policy(PolicyName="all", PolicyDocument=allow("sagemaker:*"))["Policy"]["Arn"]
    iam.attach_group_policy(GroupName="team", PolicyArn=arn)
    iam.add_user_to_group(GroupName="team", UserName="ann")
    assert sagemaker.list_models()["Models"] == []
    limit = iam.create_policy(PolicyName="limit", PolicyDocument=allow("sagemaker:ListEndpoints"))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="ann", PermissionsBoundary=limit)
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert refused(sagemaker.list_models)[1].endswith("no permissions boundary allows the sagemaker:ListModels action")
    iam.create_policy_version(PolicyArn=limit, PolicyDocument=allow("*"), SetAsDefault=True)
    assert sagemaker.list_models()["Models"] == []


def test_a_role_must_be_passed(enforced: LiveServer, iam: Any, user: Callable[..., Any], account: str) -> None:
    role = f"arn:aws:iam::{account}:role/SageMakerExecutionRole"
    models = f"arn:aws:sagemaker:*:{account}:model/*"
    client = user(allow("sagemaker:CreateModel", models))("sagemaker")
    create = partial(client.create_model, ModelName="M", ExecutionRoleArn=role, **CONTAINER)
    unknown = partial(client.create_model, ModelName="M", ExecutionRoleArn=f"{role}-made-up", **CONTAINER)
    assert "iam:PassRole" in refused(unknown)[1]
    assert [r["RoleName"] for r in iam.list_roles()["Roles"]] == ["SageMakerExecutionRole"]
    code, message, _ = refused(create)
    assert (code, f"iam:PassRole on resource: {role}" in message) == ("AccessDeniedException", True)
    for service, passes in (("lambda.amazonaws.com", False), ("sagemaker.amazonaws.com", True)):
        condition = {"StringEquals": {"iam:PassedToService": service}}
        document = allow("iam:PassRole", role, Condition=condition)
        iam.put_user_policy(UserName="ann", PolicyName="pass", PolicyDocument=document)
        if not passes:
            assert "iam:PassRole" in refused(create)[1]
    create()
    assert [m["ModelName"] for m in enforced.client("sagemaker", account).list_models()["Models"]] == ["M"]


def test_tags_and_instance_types_are_conditions(user: Callable[..., Any], account: str) -> None:
    tagged = allow(["sagemaker:CreateModel", "sagemaker:AddTags", "iam:PassRole"], Condition={"StringEqualsIfExists": {"aws:RequestTag/team": "ml"}})  # fmt: skip
    described = allow("sagemaker:DescribeModel", Condition={"StringEquals": {"aws:ResourceTag/team": "ml"}})
    small = allow("sagemaker:CreateEndpointConfig", Condition={"ForAllValues:StringEquals": {"sagemaker:InstanceTypes": ["ml.m5.large"]}})  # fmt: skip
    client = user(tagged, described, small)("sagemaker")
    role = f"arn:aws:iam::{account}:role/SageMakerExecutionRole"
    create = partial(client.create_model, ExecutionRoleArn=role, **CONTAINER)
    assert "sagemaker:CreateModel" in refused(lambda: create(ModelName="a", Tags=[{"Key": "team", "Value": "x"}]))[1]
    create(ModelName="a", Tags=[{"Key": "team", "Value": "ml"}])
    create(ModelName="b")
    assert client.describe_model(ModelName="a")["ModelName"] == "a"
    assert "sagemaker:DescribeModel" in refused(lambda: client.describe_model(ModelName="b"))[1]
    for instance, allowed in (("ml.m5.large", True), ("ml.m5.xlarge", False)):
        variant = {"VariantName": "v", "ModelName": "a", "InitialInstanceCount": 1, "InstanceType": instance}
        config = partial(client.create_endpoint_config, EndpointConfigName=f"c{allowed}", ProductionVariants=[variant])
        if allowed:
            config()
        else:
            assert "sagemaker:CreateEndpointConfig" in refused(config)[1]


def trust(principal: Any, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Principal": principal, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_trust_decides_who_assumes_a_role(
    enforced: LiveServer, iam: Any, user: Callable[..., Any], account: str
) -> None:
    ann = f"arn:aws:iam::{account}:user/ann"
    sts = user(name="ann")("sts")
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    assume = partial(sts.assume_role, RoleArn=role, RoleSessionName="run")
    by_owner = partial(enforced.client("sts", account).assume_role, RoleArn=role, RoleSessionName="run")
    for call in (assume, by_owner):
        code, message, status = refused(call)
        assert (code, status) == ("AccessDenied", 403)
        assert f"is not authorized to perform: sts:AssumeRole on resource: {role}" in message
    external = {"StringEquals": {"sts:ExternalId": "abc"}}
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=trust({"AWS": ann}, Condition=external))
    assert refused(assume)[0] == "AccessDenied"
    assert refused(lambda: assume(ExternalId="wrong"))[0] == "AccessDenied"
    assert assume(ExternalId="abc")["AssumedRoleUser"]["Arn"].endswith("assumed-role/r/run")
    # The account is trusted: then the user's own policies decide.
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=trust({"AWS": account}))
    by_owner()
    assert refused(assume)[1].endswith("because no identity-based policy allows the sts:AssumeRole action")
    iam.put_user_policy(UserName="ann", PolicyName="assume", PolicyDocument=allow("sts:AssumeRole", role))
    assume()
    missing = partial(sts.assume_role, RoleArn=f"{role}-missing", RoleSessionName="run")
    assert refused(missing)[0] == "AccessDenied"


def test_who_is_named_beside_the_account_opens_nothing_to_its_users(
    enforced: LiveServer, iam: Any, user: Callable[..., Any], account: str
) -> None:
    root = f"arn:aws:iam::{account}:root"
    sts, s3 = user()("sts"), user(name="bob")("s3")
    other = iam.create_role(RoleName="other", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    enforced.client("s3", account).create_bucket(Bucket=f"b{account}")
    for number, principal in enumerate(({"AWS": root, "Service": "sagemaker.amazonaws.com"}, {"AWS": [root, other]})):
        role = iam.create_role(RoleName=f"admin{number}", AssumeRolePolicyDocument=trust(principal))["Role"]["Arn"]
        code, message, _ = refused(partial(sts.assume_role, RoleArn=role, RoleSessionName="run"))
        assert (code, "no identity-based policy allows the sts:AssumeRole" in message) == ("AccessDenied", True)
        opened = {"Effect": "Allow", "Action": "s3:*", "Principal": principal}
        statement = {**opened, "Resource": [f"arn:aws:s3:::b{account}", f"arn:aws:s3:::b{account}/*"]}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        enforced.client("s3", account).put_bucket_policy(Bucket=f"b{account}", Policy=document)
        assert refused(partial(s3.list_objects_v2, Bucket=f"b{account}"))[0] == "AccessDenied"


def test_roles_of_another_account(enforced: LiveServer, user: Callable[..., Any], account: str) -> None:
    other = str(int(account) + 500_000_000_000)
    theirs = enforced.client("iam", other)
    role = theirs.create_role(RoleName="r", AssumeRolePolicyDocument=trust({"AWS": account}))["Role"]["Arn"]
    theirs.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=allow("sagemaker:ListModels"))
    refused_user = user(name="bob")("sts")
    assert refused(lambda: refused_user.assume_role(RoleArn=role, RoleSessionName="run"))[0] == "AccessDenied"
    sts = user(allow("sts:AssumeRole", role))("sts")
    key = sts.assume_role(RoleArn=role, RoleSessionName="run")["Credentials"]
    there = signed_by(enforced, key, "sts", key["SessionToken"]).get_caller_identity()
    assert (there["Account"], there["Arn"]) == (other, f"arn:aws:sts::{other}:assumed-role/r/run")
    sagemaker = signed_by(enforced, key, "sagemaker", key["SessionToken"])
    assert sagemaker.list_models()["Models"] == []
    assert "assumed-role/r/run is not authorized" in refused(sagemaker.list_endpoints)[1]


def test_a_session_policy_limits_its_session(enforced: LiveServer, iam: Any, account: str) -> None:
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust({"AWS": account}))["Role"]["Arn"]
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=allow(["sagemaker:List*", "s3:ListAllMyBuckets"]))
    tagged = allow("sagemaker:ListModels", Condition={"StringEquals": {"aws:PrincipalTag/team": "ml"}})
    managed = iam.create_policy(PolicyName="m", PolicyDocument=allow("sagemaker:ListEndpoints"))["Policy"]["Arn"]
    sts = enforced.client("sts", account)
    opened = sts.assume_role(
        RoleArn=role,
        RoleSessionName="run",
        Policy=tagged,
        PolicyArns=[{"arn": managed}],
        Tags=[{"Key": "team", "Value": "ml"}],
    )
    key = opened["Credentials"]
    assert opened["PackedPolicySize"] > 0
    client = partial(signed_by, enforced, key, token=key["SessionToken"])
    assert client("sagemaker").list_models()["Models"] == []
    assert client("sagemaker").list_endpoints()["Endpoints"] == []
    assert refused(client("s3").list_buckets)[1].endswith(
        "because no session policy allows the s3:ListAllMyBuckets action"
    )
    iam.delete_role_policy(RoleName="r", PolicyName="p")
    assert "no identity-based policy" in refused(client("sagemaker").list_models)[1]


def test_a_transitive_tag_goes_on_to_the_next_session(enforced: LiveServer, iam: Any, account: str) -> None:
    first = iam.create_role(RoleName="first", AssumeRolePolicyDocument=trust({"AWS": account}))["Role"]["Arn"]
    second = iam.create_role(RoleName="second", AssumeRolePolicyDocument=trust({"AWS": account}))["Role"]["Arn"]
    iam.put_role_policy(RoleName="first", PolicyName="p", PolicyDocument=allow(["sts:AssumeRole", "sts:TagSession"]))
    condition = {"StringEquals": {"aws:PrincipalTag/team": "ml"}}
    iam.put_role_policy(
        RoleName="second", PolicyName="p", PolicyDocument=allow("sagemaker:ListModels", Condition=condition)
    )
    tags = [{"Key": "team", "Value": "ml"}]
    for transitive in ([], ["team"]):
        opened = enforced.client("sts", account).assume_role(
            RoleArn=first, RoleSessionName="one", Tags=tags, TransitiveTagKeys=transitive
        )["Credentials"]
        sts = signed_by(enforced, opened, "sts", opened["SessionToken"])
        key = sts.assume_role(RoleArn=second, RoleSessionName="two")["Credentials"]
        client = signed_by(enforced, key, "sagemaker", key["SessionToken"])
        if transitive:
            assert client.list_models()["Models"] == []
            again = partial(sts.assume_role, RoleArn=second, RoleSessionName="two", Tags=tags)
            assert refused(again)[0] == "InvalidParameterValue"
        else:
            assert "sagemaker:ListModels" in refused(client.list_models)[1]


def test_an_owner_passes_on_what_he_has(enforced: LiveServer, iam: Any, account: str) -> None:
    sts = enforced.client("sts", account)
    key = sts.get_session_token()["Credentials"]
    assert signed_by(enforced, key, "sagemaker", key["SessionToken"]).list_models()["Models"] == []
    federated = sts.get_federation_token(Name="bea", Policy=allow("sagemaker:ListModels"))
    assert federated["FederatedUser"]["Arn"] == f"arn:aws:sts::{account}:federated-user/bea"
    key = federated["Credentials"]
    theirs = signed_by(enforced, key, "sagemaker", key["SessionToken"])
    assert theirs.list_models()["Models"] == []
    assert "no session policy allows" in refused(theirs.list_endpoints)[1]


SCRIPT = """
import os, urllib.error, urllib.request
scope = f"AWS4-HMAC-SHA256 Credential={os.environ['AWS_ACCESS_KEY_ID']}/20261123/us-east-1/sagemaker/aws4_request"
headers = {"Content-Type": "application/x-amz-json-1.1", "Authorization": scope + ", SignedHeaders=host, Signature=0"}
for operation in ("ListModels", "ListEndpoints"):
    headers["X-Amz-Target"] = "SageMaker." + operation
    try:
        with urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"], b"{}", headers)) as answer:
            print(operation, answer.status)
    except urllib.error.HTTPError as error:
        print(operation, error.code, error.read().decode())
"""


def test_a_job_has_what_its_role_has(enforced: LiveServer, iam: Any, account: str) -> None:
    site = Site(enforced, account, "process")
    role = iam.create_role(RoleName="job", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.put_role_policy(RoleName="job", PolicyName="p", PolicyDocument=allow(
        ["sagemaker:ListModels", "s3:GetObject", "s3:ListBucket", "s3:PutObject"]))  # fmt: skip
    name = site.start(SCRIPT, RoleArn=role)
    assert site.ended(name)["TrainingJobStatus"] == "Completed"
    *_, listed, denied = site.lines(name)
    assert listed == "ListModels 200"
    assert denied.startswith("ListEndpoints 403")
    assert f"arn:aws:sts::{account}:assumed-role/job/" in denied
    calls = [(call["action"], call["denied"]) for call in read_calls(enforced, account, "role/job")["calls"]]
    assert {("sagemaker:ListModels", False), ("sagemaker:ListEndpoints", True), ("s3:GetObject", False)} <= set(calls)
    site.close()


def test_a_processing_job_is_passed_a_role_and_has_what_that_has(
    enforced: LiveServer, iam: Any, user: Callable[..., Any], account: str
) -> None:
    site = Site(enforced, account, "process")
    role = iam.create_role(RoleName="job", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    stored = f"arn:aws:s3:::{site.bucket}/out/*"
    iam.put_role_policy(RoleName="job", PolicyName="p", PolicyDocument=allow("s3:PutObject", stored))
    outputs = {"Outputs": [processor.s3_output("out", f"s3://{site.bucket}/out")]}
    given = processor.request(site, RoleArn=role, ProcessingOutputConfig=outputs)
    client = user(allow("sagemaker:CreateProcessingJob", f"arn:aws:sagemaker:*:{account}:processing-job/*"))(
        "sagemaker"
    )
    assert f"iam:PassRole on resource: {role}" in refused(partial(client.create_processing_job, **given))[1]
    data = processor.s3_input("data", site.upload({"a": "1"}))
    site.sagemaker.create_processing_job(**given, ProcessingInputs=[data])
    reason = processor.ended(site, given["ProcessingJobName"])["FailureReason"]
    assert reason.startswith("ClientError: Failed to download data. ")
    assert "assumed-role/job/SageMaker is not authorized to perform: s3:ListBucket" in reason
    code = ["python3", "-c", "open('/opt/ml/processing/out/x', 'w').write('1')"]
    given = processor.request(site, RoleArn=role, ProcessingOutputConfig=outputs)
    given["AppSpecification"]["ContainerEntrypoint"] = code
    site.sagemaker.create_processing_job(**given)
    assert processor.ended(site, given["ProcessingJobName"])["ProcessingJobStatus"] == "Completed"
    assert site.keys(f"s3://{site.bucket}/out/") == ["x"]
    site.close()


def test_uses_are_remembered(enforced: LiveServer, iam: Any, user: Callable[..., Any], account: str) -> None:
    client = user(allow("sagemaker:ListModels"))("sagemaker")
    key = iam.list_access_keys(UserName="ann")["AccessKeyMetadata"][0]["AccessKeyId"]
    assert iam.get_access_key_last_used(AccessKeyId=key)["AccessKeyLastUsed"]["ServiceName"] == "N/A"
    client.list_models()
    read_calls(enforced, account, "user/ann")  # writes what is recorded
    used = iam.get_access_key_last_used(AccessKeyId=key)
    assert (used["UserName"], used["AccessKeyLastUsed"]["ServiceName"]) == ("ann", "sagemaker")


def read_calls(live: LiveServer, account: str, principal: str) -> dict[str, Any]:
    """Read what is recorded of a principal."""
    import urllib.request

    url = f"{live.url}/_localmaker/iam/calls?account={account}&principal={principal}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        calls: dict[str, Any] = json.load(answer)
    return calls
