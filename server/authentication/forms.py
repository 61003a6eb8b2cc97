"""A form's signature: it stands in fields, over its policy, and is the only one that the request may have.

Sources: S3 API Reference, "POST Object" and "Browser-Based Uploads Using POST (AWS Signature Version 4)". Unverified: AWS's
words for fields that come twice, for which those of several mechanisms stand.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from backends.aws.s3 import failures as s3_failures
from backends.aws.s3 import post_policy
from backends.core.errors import AwsError
from server import identify
from server.authentication import canonical, credentials, failures, keyring, single

if TYPE_CHECKING:
    from server.exchange import Exchange
    from server.form import Form
    from server.types import Credentials

V4 = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
V2 = ("awsaccesskeyid", "signature")
ONLY_ONCE = {*V4, *V2, "x-amz-security-token", "policy", "key"}


def authenticate(exchange: Exchange, form: Form) -> None:
    """Take a form's signer for who asks; raise S3's error for one that is no good, or for more than one."""
    fields, request = form.fields, exchange.request
    signer = credentials.of_form(fields)
    both = not {*V4[1::2]}.isdisjoint(fields) and not {*V2}.isdisjoint(fields)
    if both or form.doubled & ONLY_ONCE or credentials.of(request).version or "authorization" in request.headers:
        raise AwsError("InvalidArgument", single.ONLY_ONE, 400)
    enforced = exchange.kernel.settings.auth != "off"
    if not signer.key:
        if enforced and (signer.version or "policy" in fields):
            raise _missing(fields, V4 if signer.version == 4 else V2)
        return
    exchange.identity = identify.identify_signer(exchange.kernel, request, signer)
    if exchange.identity.refused:
        raise failures.refused(exchange.identity.refused, "s3", signer.key)
    if enforced:
        _verify(exchange, signer, fields)


def _verify(exchange: Exchange, signer: Credentials, fields: dict[str, str]) -> None:
    """Raise S3's error unless the key signed the form's policy for S3."""
    known = keyring.find(exchange.kernel, signer.key)
    if known is None:
        raise failures.refused("unknown", "s3", signer.key)
    if not hmac.compare_digest(known.session_token.encode(), signer.token.encode("utf-8", "surrogateescape")):
        raise failures.refused("token", "s3", signer.key)
    if "policy" not in fields:
        raise _missing(fields, ("Policy",))
    names = V4 if signer.version == 4 else V2
    if not all(fields.get(name) for name in names):
        raise _missing(fields, names)
    if signer.version == 4 and (
        signer.algorithm != canonical.ALGORITHM or signer.scope != f"{signer.date[:8]}/{signer.region}/s3/aws4_request"
    ):
        raise failures.refused("malformed", "s3", signer.key)
    post_policy.check_signature(fields, known.secret_key)


def _missing(fields: dict[str, str], names: tuple[str, ...]) -> AwsError:
    """Return the error that names the first field that is not there."""
    name = next(name for name in names if not fields.get(name.lower()))
    spelled = {"awsaccesskeyid": "AWSAccessKeyId"}.get(name, name)
    text = f"Bucket POST must contain a field named '{spelled}'.  If it is specified, please check the order of the fields."
    return s3_failures.invalid_argument(text, spelled)
