"""The content of a model card, a JSON text of AWS's model card schema: its sections, and what of it is no secret.

Sources: developer guide "Model card JSON schema" (2026-11); API reference of DescribeModelCard (IncludedData). Unverified: the
sentences. What lies deeper in training and evaluation details than is checked here is kept as it is.
"""

from __future__ import annotations

import json
from numbers import Number
from typing import Any

SHORT, LONG = 1024, 2048
KINDS = {list: "list", dict: "object", Number: "number"}
RISKS = ("High", "Medium", "Low", "Unknown")
SECTIONS: dict[str, Any] = {
    "model_overview": {
        "model_description": SHORT, "model_owner": SHORT, "model_creator": SHORT, "problem_type": SHORT,
        "algorithm_type": SHORT, "model_id": SHORT, "model_name": SHORT, "model_artifact": list, "model_version": Number,
        "inference_environment": dict,
    },
    "model_package_details": dict,
    "intended_uses": {
        "purpose_of_model": LONG, "intended_uses": LONG, "factors_affecting_model_efficiency": LONG, "risk_rating": RISKS,
        "explanations_for_risk_rating": LONG,
    },
    "business_details": {"business_problem": LONG, "business_stakeholders": LONG, "line_of_business": LONG},
    "training_details": {"objective_function": dict, "training_observations": SHORT, "training_job_details": dict},
    "evaluation_details": list,
    "additional_information": {"ethical_considerations": LONG, "caveats_and_recommendations": LONG, "custom_details": dict},
}  # fmt: skip
NO_SECRET = (
    ("model_overview", "model_id"),
    ("model_overview", "model_name"),
    ("intended_uses", "risk_rating"),
    ("model_package_details", "model_package_group_name"),
    ("model_package_details", "model_package_arn"),
)


def problem(text: str) -> str:
    """Return what is wrong with a content; empty for nothing."""
    try:
        content = json.loads(text)
    except ValueError:
        return "it is no JSON."
    except RecursionError:
        return "it is nested too deeply."
    return _problem(content, SECTIONS, "")


def _problem(value: Any, expected: Any, path: str) -> str:
    if isinstance(expected, dict):
        if not isinstance(value, dict):
            return f"{path or 'it'} is no object."
        if unknown := sorted(set(value) - set(expected)):
            return f"{f'{path}.' if path else ''}{unknown[0]} is no member of the model card schema."
        problems = (_problem(value[name], expected[name], f"{path}.{name}".lstrip(".")) for name in value)
        return next(filter(None, problems), "")
    if isinstance(expected, tuple):
        return "" if value in expected else f"{path} must be one of {', '.join(expected)}."
    if isinstance(expected, int):
        is_right, what = isinstance(value, str) and len(value) <= expected, f"text of at most {expected} characters"
    else:
        is_right, what = isinstance(value, expected), KINDS[expected]
    return "" if is_right else f"{path} must be a {what}."


def metadata_only(text: str) -> str:
    """Return a content with those members only that AWS keeps unencrypted."""
    content = json.loads(text)
    kept: dict[str, Any] = {}
    for section, member in NO_SECRET:
        if member in content.get(section, {}):
            kept.setdefault(section, {})[member] = content[section][member]
    return json.dumps(kept)
