"""The one port: plain HTTP, TLS and CONNECT on it, AWS's hosts behind its own CA, and the commands that lead clients there."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import ipaddress
import json
import os
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import boto3
import psutil
import pytest
import uvicorn
from botocore.config import Config

from backends.core.listening import PORT
from backends.core.settings import Settings
from backends.jobs.runners import sandbox
from server.listener import authority, hosts, proxy_key, tunnel
from server.serve import Server
from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.site import Site


def localmaker(live: LiveServer, *arguments: str, **environment: str) -> str:
    given = {"PATH": "/usr/bin:/bin", "HOME": str(live.data_dir), "LOCALMAKER_DATA_DIR": str(live.data_dir)}
    command = [sys.executable, "-m", "server.cli", *arguments]
    ran = subprocess.run(command, env=given | environment, capture_output=True, text=True, check=True)
    return ran.stdout


def trusting(live: LiveServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.ensure(live.data_dir))


def requested(connection: socket.socket, head: bytes) -> bytes:
    """Send something; give all that is answered until the other end closes."""
    connection.sendall(head)
    answer = b""
    while part := connection.recv(65536):
        answer += part
    return answer


def connected(live: LiveServer) -> socket.socket:
    place = urlsplit(live.url)
    return socket.create_connection((place.hostname, place.port), timeout=10)


def through_proxy(live: LiveServer, service: str, account: str, url: str | None = None, **options: Any) -> Any:
    """Return a client that knows AWS's real address only, and the way of a proxy to it."""
    config = Config(proxies={"https": live.url}, retries={"total_max_attempts": 1})
    return boto3.client(
        service, config=config, verify=str(authority.ensure(live.data_dir)), endpoint_url=url,
        aws_access_key_id=account, aws_secret_access_key="x", **{"region_name": "eu-west-1", **options},
    )  # fmt: skip


def test_aws_hosts_are_answered_through_the_proxy(server: LiveServer, account: str) -> None:
    url = "https://sts.eu-west-1.amazonaws.com"
    assert through_proxy(server, "sts", account, url).get_caller_identity()["Account"] == account
    s3 = through_proxy(server, "s3", account, region_name="us-west-2")
    name = f"listener-{account}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    s3.put_object(Bucket=name, Key="a/b", Body=b"x" * 100_000)  # at name.s3.us-west-2.amazonaws.com
    assert s3.get_object(Bucket=name, Key="a/b")["Body"].read() == b"x" * 100_000
    s3.put_object(Bucket=name, Key="_localmaker/health", Body=b"a key")
    assert s3.get_object(Bucket=name, Key="_localmaker/health")["Body"].read() == b"a key"
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-west-2"
    assert through_proxy(server, "sagemaker", account).list_models()["Models"] == []
    assert through_proxy(server, "sqs", account).create_queue(QueueName="q")["QueueUrl"]
    runtime = through_proxy(server, "sagemaker-runtime", account)
    with pytest.raises(runtime.exceptions.ClientError, match="not found"):
        runtime.invoke_endpoint(EndpointName="none", Body=b"1")


def test_tls_without_a_proxy_at_localhost_and_by_address(server: LiveServer) -> None:
    port = urlsplit(server.url).port
    for name in ("localhost", "127.0.0.1"):
        with urllib.request.urlopen(f"https://{name}:{port}/_localmaker/health", context=trusting(server)) as answer:
            assert json.load(answer)["status"] == "ready"


def test_a_large_body_goes_both_ways_over_tls(server: LiveServer, account: str) -> None:
    s3 = through_proxy(server, "s3", account, region_name="us-east-1")
    name, content = f"large-{account}", bytes(range(256)) * (40 << 10)
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=content)  # over TLS botocore sends aws-chunked, with a trailer
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == content


def connect(live: LiveServer, target: str, key: str = "") -> bytes:
    """Ask for a tunnel; give all that is answered until the other end closes."""
    shown = f"Proxy-Authorization: Basic {base64.b64encode(f'localmaker:{key}'.encode()).decode()}\r\n" if key else ""
    with closing(connected(live)) as connection:
        return requested(connection, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{shown}\r\n".encode())


NOWHERE = ["s3.amazonaws.com:22", "s3.amazonaws.com.:22", "S3.AMAZONAWS.COM:8443", "sagemaker.us-east-1.api.aws:22", "x",
           "s3.amazonaws.com:", pytest.param(f"s3.amazonaws.com:{'9' * 5000}", id="digits"), "\xaamazonaws.com:443",
           "example.com:99999999", "user@example.com:443", "a b:1"]  # fmt: skip
FORBIDDEN = ["169.254.169.254:80", "2852039166:80", "0xa9fea9fe:80", "[::ffff:169.254.169.254]:80", "[fe80::1]:80",
             "[fd00:ec2::254]:80", "[64:ff9b::a9fe:a9fe]:80", "[2002:a9fe:a9fe::1]:80", "100.100.100.200:80", "127.1:80",
             "localhost:1", "[::]:80", "0.0.0.0:80", "[::ffff:127.0.0.1]:22", "224.0.0.1:80"]  # fmt: skip


@pytest.mark.parametrize("target", [*NOWHERE, *FORBIDDEN])
def test_connect_leads_nowhere_that_is_ours_or_aws_or_a_metadata_address(server: LiveServer, target: str) -> None:
    """Whoever asks: a name is judged by what it resolves to, in whichever way an address is written."""
    answer = connect(server, target, proxy_key.ensure(server.data_dir))
    assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 502 ")), answer[:200]
    assert answer.startswith(b"HTTP/1.1 403 ") or target in FORBIDDEN[1:9]  # a machine without IPv6 cannot resolve them
    if target.isascii():
        assert f"refused to connect to {target[:20].partition(chr(32))[0]}" in server.log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "addresses", [["169.254.169.254"], ["fe80::1%eth0"], ["93.184.215.14", "169.254.169.254"], ["127.0.0.2"], ["::1"],
                  ["fd20:ce::254"], ["168.63.129.16"], ["2002:7f00:1::"]],
)  # fmt: skip
def test_a_name_with_any_forbidden_address_is_refused(addresses: list[str]) -> None:
    with pytest.raises(tunnel.RefusedError) as refused:
        tunnel.judge_addresses(addresses, 443, 4566)
    assert refused.value.status == 403
    tunnel.judge_addresses(
        ["93.184.215.14", "10.1.2.3", "192.168.0.1", "fd12::1"], 443, 4566
    )  # a user's own networks too


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, int]]:
    """Run another host, as far as the server can tell: it speaks first, then echoes, then says how much it heard."""
    addresses = [
        each.address for entries in psutil.net_if_addrs().values() for each in entries if each.family == socket.AF_INET
    ]
    own = [ipaddress.ip_address(text) for text in addresses]
    others = [str(each) for each in own if not each.is_loopback and not each.is_link_local]
    if not others:
        pytest.skip("this machine has no address but its loopback")

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"first")
            count = 0
            while part := self.request.recv(65536):
                count += len(part)
                self.request.sendall(part)
            self.request.sendall(f"heard {count}".encode())

    with socketserver.ThreadingTCPServer((others[0], 0), Echo) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield others[0], serving.server_address[1]
        serving.shutdown()


def test_a_shell_reaches_other_hosts(server: LiveServer, elsewhere: tuple[str, int]) -> None:
    proxy = urlsplit(json.loads(localmaker(server, "env", "--json"))["HTTPS_PROXY"])
    assert f"{proxy.hostname}:{proxy.port}" == urlsplit(server.url).netloc
    head = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    sent = bytes(range(256)) * 8192  # more than sockets hold: each side waits for the other
    target = f"{elsewhere[0]}:{elsewhere[1]}"
    with closing(connected(server)) as connection:
        connection.sendall(f"CONNECT {target} HTTP/1.1\r\nProxy-Authorization: Basic {head}\r\n\r\nearly".encode())

        def write() -> None:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)

        writer = threading.Thread(target=write)
        writer.start()
        answer = b""
        while part := connection.recv(65536):
            answer += part
        writer.join()
    established, _, rest = answer.partition(b"\r\n\r\n")
    assert established == b"HTTP/1.1 200 Connection established"
    assert rest == b"first" + b"early" + sent + f"heard {len(sent) + 5}".encode()


def test_others_are_connected_to_nobody(server: LiveServer, elsewhere: tuple[str, int], tmp_path: Path) -> None:
    """No key, a wrong one, or one of another installation; offline nobody is."""
    target = f"{elsewhere[0]}:{elsewhere[1]}"
    for key in ("", "x" * 40, proxy_key.ensure(tmp_path)):
        answer = connect(server, target, key)
        assert answer.startswith(b"HTTP/1.1 407 ")
        assert b'Proxy-Authenticate: Basic realm="localmaker"' in answer  # git asks without a key first
        assert b"localmaker env" in answer
    assert proxy_key.ensure(server.data_dir).encode() not in server.log.read_bytes()
    offline = LiveServer(tmp_path / "offline", {"offline": "1"})
    offline.start()
    try:
        answer = connect(offline, target, proxy_key.ensure(offline.data_dir))
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert b"LOCALMAKER_OFFLINE=1" in answer
        assert "refused to connect" in offline.log.read_text()
        through = through_proxy(offline, "sts", "000000000000", "https://sts.eu-west-1.amazonaws.com")
        assert through.get_caller_identity()["Account"] == "000000000000"
    finally:
        offline.stop()


@pytest.mark.parametrize("peer", ["172.17.0.2", "10.0.0.5", "::ffff:172.17.0.2", "fe80::2%eth0", "192.168.1.2"])
def test_other_machines_and_containers_are_not_passed_on(tmp_path: Path, peer: str) -> None:
    key = base64.b64encode(f"localmaker:{proxy_key.ensure(tmp_path)}".encode())
    head = b"CONNECT example.com:443 HTTP/1.1\r\nproxy-authorization: basic " + key
    settings = Settings.read({}, data_dir=tmp_path)
    for own in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        tunnel.judge_client(settings, own, head, "example.com:443", 0)
    with pytest.raises(tunnel.RefusedError, match="this machine's own shells"):
        tunnel.judge_client(settings, peer, head, "example.com:443", 0)


JOB = """
import os, pathlib, socket, urllib.parse
place = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
with socket.create_connection((place.hostname, place.port)) as asked:
    asked.sendall(b"CONNECT TARGET HTTP/1.1\\r\\n\\r\\n")
    print("answered", asked.recv(100).split()[1].decode())
try:
    print("key", pathlib.Path("KEY").read_text())
except OSError as error:
    print("no key")
print("key in the environment" if "localmaker:" in str(os.environ) else "none in the environment")
"""


def test_a_job_is_not_passed_on(local: Site, elsewhere: tuple[str, int]) -> None:
    """It shares the shell's loopback in processes, but neither its key nor its environment."""
    key = local.live.data_dir / "proxy.key"
    proxy_key.ensure(local.live.data_dir)
    job = local.run(JOB.replace("TARGET", f"{elsewhere[0]}:{elsewhere[1]}").replace("KEY", str(key)))
    lines = local.lines(job["TrainingJobName"])
    assert "answered 407" in lines
    assert "none in the environment" in lines
    if sandbox.best_mode() == "bwrap":
        assert "no key" in lines


def test_a_connect_that_comes_in_pieces_and_one_that_never_ends(server: LiveServer) -> None:
    with closing(connected(server)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (b"CON", b"NECT sts.amazonaws.com:443 HTT", b"P/1.1\r\n\r"):
            connection.sendall(part)
        connection.sendall(b"\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        with trusting(server).wrap_socket(connection, server_hostname="sts.amazonaws.com") as secure:
            request = b"GET / HTTP/1.1\r\nHost: s3.amazonaws.com\r\nConnection: close\r\n\r\n"
            secure.sendall(request)
            assert secure.recv(100).startswith(b"HTTP/1.1 200 ")
    with closing(connected(server)) as connection:
        assert requested(connection, b"CONNECT " + b"a" * 20_000).startswith(b"HTTP/1.1 400 ")


def test_a_host_that_is_not_ours_gets_no_certificate(server: LiveServer) -> None:
    with closing(connected(server)) as connection, pytest.raises(ssl.SSLError):
        trusting(server).wrap_socket(connection, server_hostname="example.com")


def test_bytes_that_are_no_protocol_end_the_connection_only(server: LiveServer) -> None:
    for junk in (b"\x16\x03\x01\x00\x05hello" + b"\x00" * 50, b"\x00\xff" * 40 + b"\r\n\r\n", b"\x16"):
        with closing(connected(server)) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    with urllib.request.urlopen(f"{server.url}/_localmaker/health") as answer:
        assert answer.status == 200


def test_the_ca_is_made_once_and_its_key_is_its_owners(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: authority.ensure(tmp_path).read_bytes(), range(8)))
    assert len(set(made)) == 1
    assert (tmp_path / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca"]


def test_an_older_ca_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = authority.ensure(tmp_path)
    before = path.read_bytes()
    assert authority.ensure(tmp_path).read_bytes() == before
    path.with_name("names").unlink()  # it had none while it vouched for two suffixes only
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: authority.ensure(tmp_path).read_bytes(), range(8)))
    assert len(made) == 1
    assert made != {before}
    assert [record.getMessage() for record in caplog.records if "is made anew" in record.getMessage()]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["ca"]


def test_an_older_ca_is_kept_while_an_older_server_runs(tmp_path: Path) -> None:
    before = authority.ensure(tmp_path).read_bytes()
    (tmp_path / "ca" / "names").unlink()
    with (tmp_path / "lock").open("w") as held:
        held.write("pid 1")
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        assert authority.ensure(tmp_path).read_bytes() == before
        held.truncate(0)
        held.seek(0)
        held.write(f"pid {os.getpid()}")
        held.flush()
        assert authority.ensure(tmp_path).read_bytes() != before


@pytest.mark.parametrize("suffix", [*hosts.SUFFIXES, "on.aws", "app.aws", "experiments.sagemaker.aws"])
def test_every_partition_is_answered_here_by_name_and_certificate(server: LiveServer, suffix: str) -> None:
    name = f"anything.eu-west-1.{suffix}"
    with closing(connected(server)) as connection:
        connection.sendall(f"CONNECT {name}:443 HTTP/1.1\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        trusting(server).wrap_socket(connection, server_hostname=name).close()


def test_the_ca_vouches_for_no_other_names(tmp_path: Path) -> None:
    """The client's own TLS library refuses such a certificate, even signed with the CA's key."""
    made = authority.Authority(tmp_path)
    rogue = made._make_context(("example.com",))
    client = ssl.create_default_context(cafile=authority.ensure(tmp_path))
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(theirs, ours, server_hostname="example.com")
    answering = rogue.wrap_bio(ours, theirs, server_side=True)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        shake(asking, answering)


def shake(asking: ssl.SSLObject, answering: ssl.SSLObject) -> None:
    """Let two ends of a connection come to terms."""
    for side in (asking, answering) * 4:
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()


@pytest.mark.parametrize(
    ("host", "service", "region", "bucket"),
    [
        ("sts.eu-west-1.amazonaws.com", "sts", "eu-west-1", ""),
        ("sts.amazonaws.com:443", "sts", "", ""),
        ("api.sagemaker.us-gov-west-1.amazonaws.com", "sagemaker", "us-gov-west-1", ""),
        ("runtime-fips.sagemaker.us-east-1.amazonaws.com", "sagemaker-runtime", "us-east-1", ""),
        ("featurestore-runtime.sagemaker.us-east-1.amazonaws.com", "sagemaker-featurestore-runtime", "us-east-1", ""),
        ("my.bucket.s3.us-west-2.amazonaws.com", "s3", "us-west-2", "my.bucket"),
        ("bucket.s3-us-west-2.amazonaws.com", "s3", "us-west-2", "bucket"),
        ("bucket.s3.dualstack.eu-central-1.amazonaws.com", "s3", "eu-central-1", "bucket"),
        ("s3.amazonaws.com", "s3", "", ""),
        ("s3.cn-north-1.amazonaws.com.cn", "s3", "cn-north-1", ""),
        ("sqs.us-east-1.amazonaws.com", "", "us-east-1", ""),
        ("s3.us-east-1.amazonaws.com.", "s3", "us-east-1", ""),
        ("logs.us-iso-east-1.c2s.ic.gov", "logs", "us-iso-east-1", ""),
        ("b.s3.eusc-de-east-1.amazonaws.eu", "s3", "eusc-de-east-1", "b"),
        ("app.us-east-1.experiments.sagemaker.aws", "", "", ""),
    ],
)
def test_hosts_say_service_region_and_bucket(host: str, service: str, region: str, bucket: str) -> None:
    assert hosts.aws_host(host) == hosts.AwsHost(service, region, bucket)


def test_a_presigned_url_at_awss_host_has_that_hosts_region(server: LiveServer, account: str) -> None:
    """Signature Version 2 names no region."""
    s3 = through_proxy(server, "s3", account, region_name="us-east-1")
    name = f"v2-{account}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"v")
    url = s3.generate_presigned_url("get_object", {"Bucket": name, "Key": "k"})
    assert "AWSAccessKeyId" in url
    handlers = (
        urllib.request.ProxyHandler({"https": server.url}),
        urllib.request.HTTPSHandler(context=trusting(server)),
    )
    with urllib.request.build_opener(*handlers).open(url) as answer:
        assert answer.read() == b"v"


def test_env_leads_every_client_here(server: LiveServer) -> None:
    given = json.loads(localmaker(server, "env", "--json", AWS_REGION="eu-west-1", NO_PROXY="corp.example"))
    assert given["AWS_ENDPOINT_URL"] == proxy_key.without(given["HTTPS_PROXY"]) == server.url
    assert given["AWS_DEFAULT_REGION"] == given["AWS_REGION"] == "eu-west-1"
    assert given["NO_PROXY"] == "127.0.0.1,localhost,::1,corp.example"
    assert "TelemetryOptOut: true" in Path(given["SAGEMAKER_ADMIN_CONFIG_OVERRIDE"]).read_text()
    shown = localmaker(server, "env", AWS_PROFILE="prod", AWS_ENDPOINT_URL_S3="https://elsewhere")
    gone = next(line for line in shown.splitlines() if line.startswith("unset "))
    assert {"AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN"} <= set(gone.split())


def test_the_bundle_keeps_what_the_user_trusts(server: LiveServer, tmp_path: Path) -> None:
    own = authority.ensure(tmp_path / "another")
    given = json.loads(localmaker(server, "env", "--json", AWS_CA_BUNDLE=str(own)))
    bundle = Path(given["AWS_CA_BUNDLE"]).read_text()
    assert own.read_text() in bundle
    assert authority.ensure(server.data_dir).read_text() in bundle


def test_run_runs_one_command_there(server: LiveServer, account: str) -> None:
    script = (
        "import boto3\n"
        "sts = boto3.client('sts', endpoint_url='https://sts.us-east-1.amazonaws.com')\n"
        "print(sts.get_caller_identity()['Account'])"
    )
    ran = localmaker(server, "run", "--account", account, "--", sys.executable, "-c", script, AWS_SESSION_TOKEN="old")
    assert ran.strip() == account
    with pytest.raises(subprocess.CalledProcessError) as failed:
        localmaker(server, "run", "--", "no-such-command")
    assert failed.value.returncode == 127


SPEAKS = """
import boto3
here, there = boto3.client("sts"), boto3.client("sts", endpoint_url="https://sts.us-east-1.amazonaws.com")
print(here.get_caller_identity()["Account"], there.get_caller_identity()["Account"])
"""


@pytest.mark.parametrize("host", ["::1", "::", "0.0.0.0", "localhost"])
def test_clients_are_led_here_wherever_the_server_listens(tmp_path: Path, host: str) -> None:
    if ":" in host:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
    live = LiveServer(tmp_path / "a dir ü", {"host": host})
    live.start()
    try:
        assert localmaker(live, "run", "--", sys.executable, "-c", SPEAKS).split() == ["000000000000"] * 2
    finally:
        live.stop()


def test_a_server_on_localhost_needs_no_second_socket_for_jobs(tmp_path: Path) -> None:
    """Jobs in processes come to 127.0.0.1, where it listens already."""
    kernel: Any = SimpleNamespace(state={}, settings=Settings.read({}, data_dir=tmp_path))
    server = Server(uvicorn.Config(lambda: None, host="localhost"), kernel)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        PORT.set(kernel, bound.getsockname()[1])
        server.servers = [cast("Any", SimpleNamespace(sockets=[bound]))]
        assert asyncio.run(server.listen_also("127.0.0.1")) == f"http://127.0.0.1:{PORT.of(kernel)}"


@pytest.mark.parametrize("arguments", [("env", "--url", "nowhere"), ("ca", "--data-dir", "/dev/null/a")])
def test_what_cannot_be_is_said(server: LiveServer, arguments: tuple[str, ...]) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        localmaker(server, *arguments)
    assert "Traceback" not in failed.value.stderr
    assert failed.value.stderr.strip()


def test_the_certificate_of_a_server_elsewhere_is_asked_from_it(server: LiveServer, tmp_path: Path) -> None:
    here = json.loads(localmaker(server, "env", "--json", "--url", server.url, LOCALMAKER_DATA_DIR=str(tmp_path)))
    assert str(tmp_path) in here["AWS_CA_BUNDLE"]
    assert localmaker(server, "ca").strip() == str(authority.certificate_file(server.data_dir))
    with pytest.raises(subprocess.CalledProcessError) as failed:
        localmaker(server, "env", "--url", "http://127.0.0.1:1", LOCALMAKER_DATA_DIR=str(tmp_path))
    assert "refused" in failed.value.stderr
