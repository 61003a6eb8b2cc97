"""S3's errors: codes, sentences and members as the S3 API Reference's error list and its XML show them."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

from backends.core.errors import AwsError

if TYPE_CHECKING:
    from backends.core.objects import StoredObject

MALFORMED_XML = "The XML you provided was not well-formed or did not validate against our published schema"


def no_such_bucket(bucket: str) -> AwsError:
    """Return the error of a bucket that nobody has."""
    return AwsError("NoSuchBucket", "The specified bucket does not exist", 404, {"BucketName": bucket})


def no_such_key(key: str) -> AwsError:
    """Return the error of a key without an object."""
    return AwsError("NoSuchKey", "The specified key does not exist.", 404, {"Key": key})


def no_such_version(key: str, version_id: str) -> AwsError:
    """Return the error of a version that a key does not have."""
    members = {"Key": key, "VersionId": version_id}
    return AwsError("NoSuchVersion", "The specified version does not exist.", 404, members)


def hidden(marker: StoredObject) -> AwsError:
    """Return the error of a key whose current version is a delete marker."""
    error = no_such_key(marker.key)
    error.headers = {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version_id}
    return error


def is_marker(marker: StoredObject) -> AwsError:
    """Return the error of naming a delete marker where an object is meant."""
    text = "The specified method is not allowed against this resource."
    error = AwsError("MethodNotAllowed", text, 405, {"Method": "GET", "ResourceType": "DeleteMarker"})
    error.headers = {
        "Allow": "DELETE",
        "x-amz-delete-marker": "true",
        "x-amz-version-id": marker.version_id,
        "Last-Modified": formatdate(marker.modified, usegmt=True),
    }
    return error


def malformed_xml() -> AwsError:
    """Return the error of a document that is not what the operation takes."""
    return AwsError("MalformedXML", MALFORMED_XML, 400)


def no_such_upload(upload_id: str) -> AwsError:
    """Return the error of an upload that was never begun, or is finished."""
    text = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed."
    )
    return AwsError("NoSuchUpload", text, 404, {"UploadId": upload_id})


def access_denied(message: str = "Access Denied") -> AwsError:
    """Return 403."""
    return AwsError("AccessDenied", message, 403)


def invalid_argument(message: str, name: str = "", value: object = "") -> AwsError:
    """Return the error of a parameter that S3 does not take."""
    members = {"ArgumentName": name, "ArgumentValue": value} if name else {}
    return AwsError("InvalidArgument", message, 400, members)


def invalid_request(message: str) -> AwsError:
    """Return the error of parameters that contradict each other."""
    return AwsError("InvalidRequest", message, 400)


def precondition_failed(condition: str) -> AwsError:
    """Return the error of an If-... header that does not hold."""
    text = "At least one of the pre-conditions you specified did not hold"
    return AwsError("PreconditionFailed", text, 412, {"Condition": condition})


def not_modified(stored: StoredObject) -> AwsError:
    """Return 304, which has no body; its headers say what the client's copy is still good for."""
    error = AwsError("NotModified", "Not Modified", 304)
    error.headers = {"ETag": f'"{stored.etag}"', "Last-Modified": formatdate(stored.modified, usegmt=True)}
    return error


def header_not_implemented(name: str) -> AwsError:
    """Return the error of a header that S3 itself has no meaning for, on this operation."""
    text = "A header you provided implies functionality that is not implemented"
    return AwsError("NotImplemented", text, 501, {"Header": name})


def invalid_uri(path: str) -> AwsError:
    """Return the error of a path or query that is not UTF-8."""
    return AwsError("InvalidURI", "Couldn't parse the specified URI.", 400, {"URI": path})


def invalid_range(requested: str, size: int) -> AwsError:
    """Return the error of a range that begins beyond the object's end."""
    members = {"RangeRequested": requested, "ActualObjectSize": size}
    return AwsError("InvalidRange", "The requested range is not satisfiable", 416, members)


def bad_digest(name: str) -> AwsError:
    """Return the error of a body that is not what its digest says. `name`: Content-MD5, CRC32, ..."""
    ending = "did not match what we received." if name == "Content-MD5" else "did not match the calculated checksum."
    return AwsError("BadDigest", f"The {name} you specified {ending}", 400)


def incomplete_body() -> AwsError:
    """Return the error of a body that ended early."""
    text = "You did not provide the number of bytes specified by the Content-Length HTTP header"
    return AwsError("IncompleteBody", text, 400)


def entity_too_large(size: int, limit: int) -> AwsError:
    """Return the error of a body beyond 5 GiB."""
    members = {"ProposedSize": size, "MaxSizeAllowed": limit}
    return AwsError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", 400, members)
