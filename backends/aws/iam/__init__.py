"""IAM: roles, users, groups, their keys and policies, durable; policies are evaluated by `backends.core.policy`.

AWS calls it: AWS Identity and Access Management. What nobody needs beside SageMaker (login profiles, identity providers,
certificates, MFA, reports) is moto's, in memory: the ledger says which. Every account has a role `SageMakerExecutionRole`
from the start. What this component holds is read by the gateway (`server/authorize.py`) through `principals`.
States: none. Tables: `iam_entities`, `iam_calls`; access keys are the kernel's `issued_keys`. Events: none.
Guide: https://docs.aws.amazon.com/IAM/latest/UserGuide/introduction.html, and docs/iam.md here.
"""
