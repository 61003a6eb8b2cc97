"""RenderUiTemplate: Liquid with Ground Truth's filters, and templates that would hold up a server."""

from __future__ import annotations

import html
import json
import re
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.registry.test_registry import refused

if TYPE_CHECKING:
    from collections.abc import Callable

TASK = {"source-ref": "s3://b/a", "labels": ["<a>", "b"], "html": "<b>&amp;"}


@pytest.fixture
def draw(aws: Callable[..., Any], account: str) -> Callable[..., dict[str, Any]]:
    def rendered(template: str, task: Any = TASK, **more: Any) -> dict[str, Any]:
        source = more or {"UiTemplate": {"Content": template}}
        given = task if isinstance(task, str) else json.dumps(task)
        role = f"arn:aws:iam::{account}:role/role"
        answer: dict[str, Any] = aws("sagemaker").render_ui_template(Task={"Input": given}, RoleArn=role, **source)
        return answer

    return rendered


def test_a_template_is_rendered_with_the_filters_of_ground_truth(draw: Callable[..., dict[str, Any]], aws: Any) -> None:
    template = (
        "{% for label in task.input.labels %}<i>{{ label }}</i>{% endfor %}"
        "|{{ task.input.source-ref }}|{{ task.input.labels | to_json | escape }}"
        "|{{ task.input.html | escape_once }}|{{ task.input.html | skip_autoescape }}|{{ task.input.none }}"
    )
    answer = draw(template)
    assert answer["Errors"] == []
    looped, reference, labels, once, raw, none = answer["RenderedContent"].split("|")
    assert (looped, reference, none) == ("<i>&lt;a&gt;</i><i>b</i>", "s3://b/a", "")
    assert json.loads(html.unescape(labels)) == TASK["labels"]
    assert (once, raw) == ("&lt;b&gt;&amp;", "<b>&amp;")
    made = aws("sagemaker").create_human_task_ui(HumanTaskUiName="ui", UiTemplate={"Content": "{{ task.input }}"})
    arn = made["HumanTaskUiArn"]
    assert draw("", "42", HumanTaskUiArn=arn)["RenderedContent"] == "42"
    assert refused(lambda: draw("", "42", HumanTaskUiArn=f"{arn}-none"))[0] == "ResourceNotFound"
    both = {"HumanTaskUiArn": arn, "UiTemplate": {"Content": "a"}}
    assert refused(lambda: draw("", "42", **both))[0] == "ValidationException"


def test_read_access_is_a_url_that_leads_to_the_object(
    draw: Callable[..., dict[str, Any]], aws: Callable[..., Any], account: str
) -> None:
    s3, bucket = aws("s3"), f"images-{account}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a b.png", Body=b"picture")
    template = '<img src="{{ task.input | grant_read_access }}"> {{ task.input | grant_read_access | skip_autoescape }}'
    answer = draw(template, f'"s3://{bucket}/a b.png"')
    assert answer["Errors"] == []
    escaped, raw = re.findall(r'http[^" ]+', answer["RenderedContent"])
    assert (html.unescape(escaped), "&amp;" in escaped) == (raw, True)
    with urllib.request.urlopen(raw, timeout=10) as read:
        assert read.read() == b"picture"
    for uri, code in (("s3://no-such-bucket-here/a", "NoSuchBucket"), ("/etc/passwd", "ValidationException")):
        answer = draw(template, json.dumps(uri))
        assert ([each["Code"] for each in answer["Errors"]], answer["RenderedContent"]) == ([code], "")


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("{% if %}", "LiquidSyntax"),
        ("{{ 'a' | no_such_filter }}", "UnknownFilter"),
        ("{% include '/etc/passwd' %}", "TemplateNotFound"),
        ("{% render '../../etc/passwd' %}", "TemplateNotFound"),
        ("{% for i in (1..1000000000) %}{% for j in (1..1000000000) %}x{% endfor %}{% endfor %}", "LoopIterationLimit"),
        ("{% assign x = 7 %}{% for i in (1..99) %}{% assign x = x | times: x %}{% endfor %}", "ResourceLimitExceeded"),
        ("{% capture s %}" + "a" * 60_000 + "{% endcapture %}{{ s | replace: 'a', s }}", "ResourceLimitExceeded"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_template_stands_in_errors(
    draw: Callable[..., dict[str, Any]], template: str, code: str
) -> None:
    began = time.monotonic()
    answer = draw(template)
    assert [each["Code"] for each in answer["Errors"]] == [code]
    assert answer["RenderedContent"] == ""
    assert time.monotonic() - began < 20.0


def test_a_task_that_is_no_json_stands_in_errors(draw: Callable[..., dict[str, Any]]) -> None:
    for task in ("no json", "[" * 100_000):
        assert [each["Code"] for each in draw("a", task)["Errors"]] == ["InvalidTaskInput"]
