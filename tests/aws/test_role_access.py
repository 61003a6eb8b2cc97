"""What a service reads and writes in S3 for a resource is judged as that resource's role, in every mode."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from backends.core.errors import AwsError
from backends.core.objects import role_access
from tests.aws.test_iam import TRUST, allow, refused, signed_by
from tests.conftest import LiveServer
from tests.server.in_process import InProcessClient, with_gateway
from tests.site import RUN_SCRIPT, SCIKIT_LEARN, Site, channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.mark.parametrize("iam", ["off", "soft", "enforce"])
def test_a_role_has_what_its_account_and_policies_give_it(tmp_path: Path, iam: str) -> None:
    own, theirs = "111122223333", "444455556666"
    role = f"arn:aws:iam::{own}:role/Train"
    narrow = allow("s3:GetObject", ["arn:aws:s3:::mine/in/*", "arn:aws:s3:::theirs/in/*"])
    trust = json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]})  # fmt: skip
    opened = {"Effect": "Allow", "Principal": {"AWS": role}, "Action": "s3:*", "Resource": "arn:aws:s3:::theirs/*"}

    async def work(client: InProcessClient) -> None:
        kernel = client.gateway.kernel
        here, there = kernel.context(own, "us-east-1"), kernel.context(theirs, "us-east-1")

        def prepare(tx: Any) -> None:
            here.inside(tx).call("CreateRole", {"RoleName": "Train", "AssumeRolePolicyDocument": trust}, "iam")
            here.inside(tx).call(
                "PutRolePolicy", {"RoleName": "Train", "PolicyName": "p", "PolicyDocument": narrow}, "iam"
            )

        await kernel.db.write(prepare)
        for cx, name in ((here, "mine"), (there, "theirs")):
            handler = kernel.operations["s3", "CreateBucket"].handler
            made = handler(cx, {"Bucket": name}) if kernel.operations["s3", "CreateBucket"].waits else None
            if made is not None:
                await made
            else:  # a plain handler
                await cx.transact(lambda inside, name=name, handler=handler: handler(inside, {"Bucket": name}))  # type: ignore[misc]
        acting = role_access.as_role(here, role)

        async def may(bucket: str, action: str, key: str) -> bool:
            return await acting.read(lambda inside: role_access.may(inside, bucket, action, key))

        enforced = iam == "enforce"
        assert await may("mine", "s3:GetObject", "in/a")
        assert await may("mine", "s3:PutObject", "out/a") is not enforced
        assert not await may("theirs", "s3:GetObject", "in/a")
        assert not await may("theirs", "s3:PutObject", "in/a")
        assert not await may("nobodys", "s3:GetObject", "in/a")
        document = json.dumps({"Version": "2012-10-17", "Statement": [opened]})
        put = kernel.operations["s3", "PutBucketPolicy"].handler
        await there.transact(lambda inside: put(inside, {"Bucket": "theirs", "Policy": document}))
        assert await may("theirs", "s3:GetObject", "in/a")
        assert await may("theirs", "s3:PutObject", "in/a") is not enforced
        other = role_access.as_role(here, f"arn:aws:iam::{own}:role/Other")
        block = kernel.operations["s3", "PutPublicAccessBlock"].handler
        everybody = json.dumps({"Version": "2012-10-17", "Statement": [{**opened, "Principal": "*"}]})
        for restricted in (
            False,
            True,
        ):  # what is public is not for other accounts' roles either, where it is restricted
            settings = {"RestrictPublicBuckets": restricted}
            given = {"Bucket": "theirs", "PublicAccessBlockConfiguration": settings}
            await there.transact(lambda inside, given=given: block(inside, given))  # type: ignore[misc]
            await there.transact(lambda inside: put(inside, {"Bucket": "theirs", "Policy": everybody}))
            assert await may("theirs", "s3:GetObject", "in/a") is not restricted
        with pytest.raises(AwsError, match="is not authorized to perform: s3:GetObject"):
            await other.read(lambda inside: role_access.check(inside, "theirs", "s3:GetObject", "in/a"))

    with_gateway(tmp_path, work, iam=iam)


@pytest.fixture(scope="module", params=["off", "enforce"])
def live(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    made = LiveServer(tmp_path_factory.mktemp(request.param) / "data", {"iam": request.param})
    made.start()
    yield made
    made.end_jobs()
    made.stop()


def test_jobs_and_endpoints_reach_no_other_accounts_bucket(live: LiveServer, account: str) -> None:
    other = str(int(account) + 500_000_000_000)
    name, role = f"theirs{account}", f"arn:aws:iam::{account}:role/SageMakerExecutionRole"
    theirs, sagemaker = live.client("s3", other), live.client("sagemaker", account)
    theirs.create_bucket(Bucket=name)
    theirs.put_object(Bucket=name, Key="in/data", Body=b"1")
    theirs.put_object(Bucket=name, Key="model.tar.gz", Body=b"1")
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{name}/in/"}
    own = f"mine{account}"
    live.client("s3", account).create_bucket(Bucket=own)
    job: dict[str, Any] = {
        "TrainingJobName": "j", "RoleArn": role, "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "AlgorithmSpecification": {"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File"},
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{own}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
    }  # fmt: skip
    assert "No S3 objects found" in refused(lambda: sagemaker.create_training_job(**job))[1]
    del job["InputDataConfig"]
    writes = {**job, "OutputDataConfig": {"S3OutputPath": f"s3://{name}/out"}}
    assert "not this account's" in refused(lambda: sagemaker.create_training_job(**writes))[1]
    container = {"Image": SCIKIT_LEARN, "ModelDataUrl": f"s3://{name}/model.tar.gz"}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    with pytest.raises(Exception, match="Waiter EndpointInService failed"):
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    reason = sagemaker.describe_endpoint(EndpointName="e")["FailureReason"]
    assert f"Could not access model data at s3://{name}/model.tar.gz" in reason
    with pytest.raises(ClientError):
        live.client("s3", account).list_objects_v2(Bucket=name)


READS = """
import os, sys
import boto3
s3 = boto3.client("s3")
for tenant in ("a", "b"):
    try:
        s3.get_object(Bucket=os.environ["BUCKET"], Key=f"{tenant}/in/data")
        print("read", tenant)
    except s3.exceptions.ClientError as error:
        print(error.response["Error"]["Code"], tenant)
"""


def test_a_training_job_chains_the_tags_of_its_makers_session(live: LiveServer, account: str) -> None:
    """One role for all tenants: each job's session has its maker's session tags, and by them its own tenant's objects."""
    site, bucket = Site(live, account, "process"), f"tenants{account}"
    iam, s3 = site.client("iam"), site.s3
    s3.create_bucket(Bucket=bucket)
    for tenant in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=f"{tenant}/in/data", Body=b"1")
        s3.put_object(Bucket=bucket, Key=f"{tenant}/code/job.py", Body=READS.encode())
    tagged = json.loads(TRUST)
    tagged["Statement"][0]["Action"] = ["sts:AssumeRole", "sts:TagSession"]
    anybody = {**tagged, "Statement": [{**tagged["Statement"][0], "Principal": {"AWS": "*"}}]}
    maker, execution = (
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        for name, trust in (("Maker", anybody), ("All", tagged))
    )
    iam.put_role_policy(RoleName="Maker", PolicyName="p", PolicyDocument=allow(["sagemaker:*", "iam:PassRole"]))
    own = f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/tenant}}/*"
    iam.put_role_policy(RoleName="All", PolicyName="p", PolicyDocument=allow("s3:*", own))
    prefixes = {"StringLike": {"s3:prefix": "${aws:PrincipalTag/tenant}/*"}}
    listing = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", Condition=prefixes)
    iam.put_role_policy(RoleName="All", PolicyName="l", PolicyDocument=listing)
    others = {"Effect": "Deny", "Principal": {"AWS": execution}, "Action": "s3:*Object", "NotResource": own}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [others]}))
    key = site.client("sts").assume_role(RoleArn=maker, RoleSessionName="maker", Tags=[{"Key": "tenant", "Value": "a"}])
    theirs = signed_by(live, key["Credentials"], "sagemaker", key["Credentials"]["SessionToken"])

    def request(tenant: str, **members: Any) -> dict[str, Any]:
        specification = {"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File", "ContainerEntrypoint": RUN_SCRIPT}
        base = f"s3://{bucket}/{tenant}"
        return site.request(
            RoleArn=execution,
            AlgorithmSpecification=specification,
            InputDataConfig=[channel("code", f"{base}/code/")],
            OutputDataConfig={"S3OutputPath": f"{base}/out"},
            Environment={"BUCKET": bucket},
            **{"SessionChainingConfig": {"EnableSessionTagChaining": True}, **members},
        )

    good = request("a")
    theirs.create_training_job(**good)
    for wrong in (request("b"), request("a", SessionChainingConfig={"EnableSessionTagChaining": False})):
        assert refused(lambda wrong=wrong: theirs.create_training_job(**wrong))[0] == "ValidationException"  # type: ignore[misc]
    job = site.ended(good["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert site.lines(good["TrainingJobName"])[-2:] == ["read a", "AccessDenied b"]
    site.close()


@pytest.mark.parametrize("member", ["ExecutionRoleArn", "RoleArn"])
def test_nobody_passes_another_accounts_role(aws: Callable[..., Any], member: str) -> None:
    role = "arn:aws:iam::999999999999:role/Theirs"
    sagemaker = aws("sagemaker")
    if member == "ExecutionRoleArn":

        def call() -> Any:
            return sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": "i"})
    else:

        def call() -> Any:
            return sagemaker.create_pipeline(
                PipelineName="p", PipelineDefinition="{}", ClientRequestToken="t" * 32, RoleArn=role
            )

    assert refused(call) == ("AccessDeniedException", "Cross-account pass role is not allowed.", 403)
