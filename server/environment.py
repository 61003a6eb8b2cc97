"""The environment in which AWS's clients reach this server and never AWS: what `localmaker env` prints.

`AWS_ENDPOINT_URL` is enough for most clients. Both SageMaker SDKs ask STS at its real address all the same, and send
usage reports to S3; those pass through `HTTPS_PROXY`, behind which the installation's own CA answers for AWS's hosts.
"""

from __future__ import annotations

import ipaddress
import json
import os
import ssl
import tempfile
import urllib.request
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import botocore

from server.listener import authority, proxy_key

if TYPE_CHECKING:
    from collections.abc import Mapping

LOCAL = ("127.0.0.1", "localhost", "::1")
BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
UNSET = ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
         "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")  # fmt: skip
"""What would send clients elsewhere; also every `AWS_ENDPOINT_URL_<SERVICE>`."""

DEFAULTS = """\
# Defaults of the SageMaker Python SDK under LocalMaker. They are the administrator's: your own config.yaml wins.
SchemaVersion: "1.0"
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


def variables(
    folder: Path,
    url: str,
    credentials: tuple[str, str],
    certificate: Path,
    inherited: Mapping[str, str],
    *,
    proxy: str = "",
) -> dict[str, str]:
    """Return the variables; write the CA bundle and the SDK's defaults file that they name into `folder`.

    `proxy` is the URL of the server as a proxy, where that is another (with a key in it).
    """
    region = inherited.get("AWS_DEFAULT_REGION") or inherited.get("AWS_REGION") or "us-east-1"
    bundle = str(_bundle(folder, certificate, inherited))
    defaults = _write(folder / "sagemaker-sdk" / "config.yaml", DEFAULTS.encode())
    direct = ",".join(dict.fromkeys([*LOCAL, urlsplit(url).hostname or "", *_listed(inherited)]))
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": credentials[0],
        "AWS_SECRET_ACCESS_KEY": credentials[1],
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTPS_PROXY": proxy or url,
        "https_proxy": proxy or url,
        "NO_PROXY": direct,
        "no_proxy": direct,
        **dict.fromkeys(BUNDLES, bundle),
        "NODE_EXTRA_CA_CERTS": str(certificate),
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(defaults),
        "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
    }


def unset(inherited: Mapping[str, str]) -> list[str]:
    """Name the variables to take away."""
    return [*UNSET, *sorted(name for name in inherited if name.startswith("AWS_ENDPOINT_URL_"))]


def applied(inherited: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return a whole environment: the inherited one with the variables set and what misleads taken away."""
    gone = set(unset(inherited))
    return {name: value for name, value in inherited.items() if name not in gone} | dict(given)


def fetched_certificate(folder: Path, url: str) -> Path:
    """Ask a server elsewhere (in a container, say) for its CA certificate and keep it. Raises OSError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/_localmaker/ca.pem", timeout=10) as answer:
        return _write(folder / "ca.pem", answer.read())


@cache
def for_jobs(data_dir: Path, url: str) -> Path | None:
    """Make a folder with what leads an SDK inside a job to this server; None where jobs know it by a name.

    `models/endpoints.json`: botocore's own list of hosts, but for STS, whose address both SageMaker SDKs take from there;
    it must lie in the `.aws` of the job's home. `ca-bundle.pem`: to trust what answers there.
    """
    place = urlsplit(url)
    try:
        ipaddress.ip_address(place.hostname or "")
    except ValueError:
        return None  # our CA vouches for no names but AWS's
    folder = data_dir / "client" / f"jobs_{place.hostname}_{place.port}"
    _bundle(folder, authority.ensure(data_dir), {})
    known = Path(botocore.__file__).parent / "data" / "endpoints.json"
    document = json.loads(known.read_text(encoding="utf-8"))
    for partition in document["partitions"]:
        regions = partition["services"].get("sts", {}).get("endpoints", {})
        partition["services"]["sts"] = {
            "defaults": {"hostname": place.netloc},
            "endpoints": {region: {} for region in regions},
        }
    _write(folder / "models" / "endpoints.json", json.dumps(document).encode())
    return folder


def _listed(inherited: Mapping[str, str]) -> list[str]:
    named = inherited.get("NO_PROXY") or inherited.get("no_proxy") or ""
    return [part.strip() for part in named.split(",") if part.strip()]


def _bundle(folder: Path, certificate: Path, inherited: Mapping[str, str]) -> Path:
    """Write the CAs that the user trusts already, and ours behind them."""
    path = folder / "ca-bundle.pem"
    trusted = next((Path(inherited[name]) for name in BUNDLES if inherited.get(name)), None)
    if trusted is None or trusted == path or not trusted.is_file():
        trusted = _system_bundle()
    return _write(path, trusted.read_bytes().rstrip(b"\n") + b"\n" + certificate.read_bytes())


def _system_bundle() -> Path:
    """Find the system's CAs, or else Mozilla's as botocore's own dependency brings them."""
    system = ssl.get_default_verify_paths().openssl_cafile
    for path in (system, "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"):
        if Path(path).is_file():
            return Path(path)
    import certifi

    return Path(certifi.where())


def _write(path: Path, content: bytes) -> Path:
    """Write a file that others may be reading, unless it holds just that already."""
    if path.is_file() and path.read_bytes() == content:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o644)  # noqa: PTH101 - a name, not a path
    return Path(file.name).replace(path)


def of_installation(
    data_dir: Path, url: str, credentials: tuple[str, str], inherited: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables for the server of a data directory on this machine."""
    proxy = proxy_key.in_url(url, proxy_key.ensure(data_dir))
    return variables(data_dir / "client", url, credentials, authority.ensure(data_dir), inherited, proxy=proxy)


def of_other(data_dir: Path, url: str, credentials: tuple[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a server at any URL, whose certificate is asked from it. Raises OSError."""
    place = urlsplit(url)
    folder = data_dir / "client" / f"{place.hostname}_{place.port or 80}"
    return variables(folder, url, credentials, fetched_certificate(folder, url), inherited)
