"""The kinds of `backends/notebooks`."""

from __future__ import annotations

from tests.life.kind import Kind

SCRIPT = {"Content": "IyEvYmluL2Jhc2gK"}
SECRET = "arn:aws:secretsmanager:us-east-1:111122223333:secret:git"

KINDS = (
    Kind(
        "NotebookInstanceLifecycleConfig",
        request=lambda name, _: {"NotebookInstanceLifecycleConfigName": name, "OnStart": [SCRIPT]},
        update={"OnCreate": [SCRIPT]},
    ),
    Kind(
        "CodeRepository",
        request=lambda name, _: {
            "CodeRepositoryName": name,
            "GitConfig": {"RepositoryUrl": "https://github.com/o/r.git", "Branch": "main"},
        },
        update={"GitConfig": {"SecretArn": SECRET}},
        updated={"GitConfig": {"RepositoryUrl": "https://github.com/o/r.git", "Branch": "main", "SecretArn": SECRET}},
    ),
)
