"""Lifecycle: rules expire by the account's clock, which tests move."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.aws.s3.lifecycle_rules import DAY_S, midnight_after
from tests.aws.s3.refusal import refused
from tests.aws.s3.test_crash import wait_for
from tests.aws.s3.test_versions import listed, put, switch

if TYPE_CHECKING:
    from tests.site import Site

DAY = DAY_S


def rule(**members: Any) -> dict[str, Any]:
    return {"Status": "Enabled", "Filter": {"Prefix": ""}, **members}


def configure(s3: Any, bucket: str, *rules: dict[str, Any]) -> None:
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [*rules]})


def keys(s3: Any, bucket: str) -> set[str]:
    return {entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


@given(st.floats(0, 4e9), st.integers(1, 4000))
def test_days_end_at_the_midnight_after_them(moment: float, days: int) -> None:
    due = midnight_after(moment, days)
    assert due % DAY == 0
    assert days * DAY < due - moment <= (days + 1) * DAY


def test_the_rules_are_kept(s3: Any, bucket: str) -> None:
    rules = [
        {"ID": "one", "Status": "Disabled", "Prefix": "logs/", "Expiration": {"Days": 3}},
        rule(ID="two", Expiration={"Date": datetime(2030, 1, 1, tzinfo=UTC)}),
        rule(ID="three", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}),
    ]
    configure(s3, bucket, *rules)
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    configure(s3, bucket, rule(Expiration={"Days": 1}))
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["ID"]
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == ("NoSuchLifecycleConfiguration", 404)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ([rule()], "InvalidRequest"),
        ([rule(Expiration={"Days": 0})], "InvalidArgument"),
        ([rule(Expiration={"Days": 1, "ExpiredObjectDeleteMarker": True})], "MalformedXML"),
        ([rule(Expiration={"Date": datetime(2030, 1, 1, 5, tzinfo=UTC)})], "InvalidArgument"),
        ([rule(ID="x", Expiration={"Days": 1}), rule(ID="x", Expiration={"Days": 2})], "InvalidArgument"),
        ([{"Status": "Enabled", "Expiration": {"Days": 1}}], "MalformedXML"),
        ([rule(Expiration={"Days": 1}, Prefix="a")], "MalformedXML"),
        ([rule(NoncurrentVersionExpiration={"NewerNoncurrentVersions": 1})], "InvalidArgument"),
        ([rule(Filter={"Tag": {"Key": "a", "Value": "b"}}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})],
         "InvalidRequest"),
    ],
)  # fmt: skip
def test_wrong_rules_are_refused(s3: Any, bucket: str, wrong: list[dict[str, Any]], code: str) -> None:
    given = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": wrong}}
    assert refused(s3.put_bucket_lifecycle_configuration, **given) == (code, 400)
    assert refused(s3.get_bucket_lifecycle_configuration, Bucket=bucket)[1] == 404


def test_transitions_are_not_built(s3: Any, bucket: str) -> None:
    moved = rule(Transitions=[{"Days": 30, "StorageClass": "GLACIER"}])
    given = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": [moved]}}
    assert refused(s3.put_bucket_lifecycle_configuration, **given) == ("NotImplemented", 501)


def test_objects_expire_by_prefix_tag_and_size(s3: Any, bucket: str, local: Site) -> None:
    for key, data, tags in (
        ("log/a", b"x", ""), ("log/tagged", b"x", "keep=no"), ("other", b"x", ""), ("tagged", b"x", "keep=no&b=2"),
        ("small", b"x", ""), ("large", b"x" * 5000, ""),
    ):  # fmt: skip
        s3.put_object(Bucket=bucket, Key=key, Body=data, Tagging=tags)
    both = {"And": {"Prefix": "", "Tags": [{"Key": "keep", "Value": "no"}, {"Key": "b", "Value": "2"}]}}
    configure(
        s3, bucket, rule(ID="logs here", Filter={"Prefix": "log/"}, Expiration={"Days": 1}),
        rule(Filter=both, Expiration={"Days": 3}), rule(Filter={"ObjectSizeGreaterThan": 1000}, Expiration={"Days": 5}),
        rule(Filter={"Prefix": "other"}, Expiration={"Days": 1}, Status="Disabled"),
    )  # fmt: skip
    said = s3.head_object(Bucket=bucket, Key="log/a")["Expiration"]
    assert said.endswith('rule-id="logs%20here"')
    day_s = parsedate_to_datetime(said.split('"')[1]).timestamp()
    assert day_s == (math.floor(time.time() / DAY) + 2) * DAY
    assert "Expiration" not in s3.head_object(Bucket=bucket, Key="other")
    everything = keys(s3, bucket)
    assert len(everything) == 6
    for days, gone in ((2, {"log/a", "log/tagged"}), (4, {"tagged"}), (6, {"large"})):
        local.move_clock(days * DAY)
        everything -= gone
        wait_for(lambda left=everything: keys(s3, bucket) == left)


def test_versions_and_delete_markers_expire(s3: Any, bucket: str, local: Site) -> None:
    switch(s3, bucket, "Enabled")
    old = [put(s3, bucket, "k", b"%d" % number) for number in range(3)]
    kept = put(s3, bucket, "kept", b"x")
    configure(s3, bucket, rule(
        Filter={"Prefix": "k"}, NoncurrentVersionExpiration={"NoncurrentDays": 3, "NewerNoncurrentVersions": 1}
    ), rule(Filter={"Prefix": "k/"}, Expiration={"ExpiredObjectDeleteMarker": True}))  # fmt: skip
    local.move_clock(5 * DAY)
    wait_for(lambda: [entry[1] for entry in listed(s3, bucket, Prefix="k")] == [old[2], old[1], kept])
    configure(
        s3, bucket, rule(Filter={"Prefix": "k"}, Expiration={"Days": 1}),
        rule(Filter={"Prefix": "k"}, NoncurrentVersionExpiration={"NoncurrentDays": 2}),
    )  # fmt: skip
    wait_for(lambda: not keys(s3, bucket))  # hidden by delete markers, as an expired current version is
    assert {entry[3] for entry in listed(s3, bucket) if entry[2]} == {True}
    local.move_clock(20 * DAY)  # what they hide has gone, and then they go
    wait_for(lambda: listed(s3, bucket) == [])
    s3.delete_bucket(Bucket=bucket)


def test_uploads_are_aborted(s3: Any, bucket: str, local: Site) -> None:
    configure(s3, bucket, rule(
        ID="abort", Filter={"Prefix": "a"}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 2}
    ))  # fmt: skip
    begun = s3.create_multipart_upload(Bucket=bucket, Key="a")
    assert begun["AbortRuleId"] == "abort"
    assert begun["AbortDate"].timestamp() == (math.floor(time.time() / DAY) + 3) * DAY
    s3.create_multipart_upload(Bucket=bucket, Key="b")
    local.move_clock(4 * DAY)
    wait_for(lambda: [u["Key"] for u in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["b"])
