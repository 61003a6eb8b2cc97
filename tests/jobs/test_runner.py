"""The one suite of every job runner, with `test_runner_ends.py`: all pass it unchanged, the process runner in each sandbox."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import backends
from backends.jobs.runners.base import StartError
from backends.jobs.spec import ImageRef, JobSpec, Mount, Pipe, Sync
from backends.jobs.supervisor import cgroup
from tests.jobs.conftest import WAIT_S

if TYPE_CHECKING:
    from tests.jobs.conftest import Lab

ROOT = Path(backends.__file__).parent.parent


def needs(lab: Lab, what: str) -> None:
    """Skip what a plain subprocess cannot give."""
    if lab.kind == "plain":
        pytest.skip(f"a plain subprocess has no {what}")


def test_no_line_is_lost_or_reordered_and_an_offset_goes_on(lab: Lab) -> None:
    begun_ms = int(time.time() * 1000)
    handle = lab.start(lab.spec("print('\\n'.join(map(str, range(10000)))); print(); sys.stdout.write('no newline')"))
    end = lab.runner.wait(handle, WAIT_S)
    assert end.ok
    lines = [line for line in lab.runner.logs(handle) if not line.text.startswith("LocalMaker:")]
    assert [line.text for line in lines] == [*map(str, range(10000)), "", "no newline"]
    stamps = [line.timestamp_ms for line in lines]
    assert stamps == sorted(stamps)
    assert begun_ms <= stamps[0] <= stamps[-1] <= int(time.time() * 1000)
    assert list(lab.runner.logs(handle, lines[4999].offset)) == lines[5000:]
    assert {line.host for line in lines} == {"algo-1"}


def test_both_streams_bad_utf8_and_very_long_lines_come(lab: Lab) -> None:
    code = "sys.stderr.write('err\\n'); sys.stdout.buffer.write(b'\\xff!\\n'); print('x' * 300_000)"
    _, texts = lab.run(code)
    assert sorted(texts[:2]) == ["err", "\ufffd!"]
    assert "".join(texts[2:]) == "x" * 300_000


def test_environment_hosts_and_cpu_jobs_see_no_gpu(lab: Lab) -> None:
    code = "print(os.environ['A'], os.environ['WHO'], os.environ.get('CUDA_VISIBLE_DEVICES') or os.environ['NVIDIA_VISIBLE_DEVICES'])"
    if lab.kind != "docker":
        code = "print(os.environ['A'], os.environ['WHO'], repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    _, texts = lab.run(code, environment={"A": "1 2", "WHO": "the job"})
    assert texts == ["1 2 host 1 void" if lab.kind == "docker" else "1 2 host 1 ''"]


def test_a_job_writes_its_own_opt_ml_and_nothing_else(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "file").write_text("kept")
    code = f"""
open(ml + '/model/weights', 'w').write('w')
if ml == '/opt/ml':
    print(open('/opt/ml/input/given/file').read(), os.path.exists({str(tmp_path / "given")!r}))
    try:
        open('/opt/ml/input/given/file', 'w')
    except OSError as error:
        print(error.strerror)
"""
    spec = lab.spec(code, mounts=(Mount(tmp_path / "given", "/opt/ml/input/given"),))
    handle = lab.start(spec)
    assert lab.runner.wait(handle, WAIT_S).ok, lab.texts(handle)
    assert (spec.hosts[0].opt_ml / "model" / "weights").read_text() == "w"
    assert (tmp_path / "given" / "file").read_text() == "kept"
    if lab.kind != "plain":
        sees_machine = str(lab.kind == "unshare")
        assert lab.texts(handle) == [f"kept {sees_machine}", "Read-only file system"]


TALK = """
me = socket.gethostname()
if me == 'algo-1':
    server = socket.create_server(('algo-1', 7777))
    peer, _ = server.accept()
    print('got', peer.recv(100).decode())
else:
    for _ in range(200):
        try:
            with socket.create_connection(('algo-1', 7777), timeout=2) as peer:
                peer.sendall(b'hello from ' + me.encode())
            break
        except OSError:
            time.sleep(0.05)
"""


@pytest.mark.parametrize("isolated", [False, True])
def test_two_hosts_find_each_other_by_name(lab: Lab, isolated: bool) -> None:
    needs(lab, "names for its hosts")
    end, texts = lab.run(TALK, hosts=2, isolated=isolated)
    assert end.ok, texts
    assert "got hello from algo-2" in texts


def machine_addresses() -> list[str]:
    """Return every IPv4 address of this machine."""
    shown = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout.split()
    return ["127.0.0.1", *(address for address in shown if "." in address)]


REACH = """
for address in {addresses!r}:
    try:
        socket.create_connection((address, {port}), timeout=1).close()
        print('reached', address)
    except OSError:
        pass
# the gateway of whatever network there is
route = [line.split() for line in open('/proc/net/route')][1:]
for _, destination, gateway, *_ in route:
    number = int(gateway, 16) or int(destination, 16) + (1 << 24)
    try:
        socket.create_connection((socket.inet_ntoa(number.to_bytes(4, 'little')), {port}), timeout=1).close()
        print('reached a gateway')
    except OSError:
        pass
print('own name', socket.gethostbyname(socket.gethostname()) != '')
"""


@pytest.mark.parametrize("hosts", [1, 2])
def test_an_isolated_job_reaches_nothing_of_the_machine(lab: Lab, hosts: int) -> None:
    needs(lab, "network of its own")
    with socket.create_server(("0.0.0.0", 0)) as server:
        code = REACH.format(addresses=machine_addresses(), port=server.getsockname()[1])
        assert (lab.run(code, hosts=hosts, isolated=True))[1] == ["own name True"] * hosts


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_job_reaches_the_server_at_endpoint_host(lab: Lab, hosts: int) -> None:
    with socket.create_server((lab.runner.endpoint_host(), 0)) as server:
        place = server.getsockname()[:2]
        end, texts = lab.run(f"socket.create_connection({place!r}, timeout=5).close(); print('there')", hosts=hosts)
    assert (end.ok, texts) == (True, ["there"] * hosts)


def test_memory_limit(lab: Lab) -> None:
    groups, problems = cgroup.make("probe", {"memory": 64})
    cgroup.remove(groups)
    if problems and lab.kind != "docker":
        pytest.skip(f"no memory limit for processes here: {problems[0]}")
    end, _ = lab.run("x = bytearray(400 << 20); print(len(x))", memory_mb=64, cpus=0.5)
    assert (end.hosts["algo-1"].code, end.hosts["algo-1"].oom) == (137, True)


def test_pipe_mode_epochs_gzip_and_early_close(lab: Lab, tmp_path: Path) -> None:
    first, second = tmp_path / "a.gz", tmp_path / "b.gz"
    first.write_bytes(gzip.compress(b"a" * 3_000_000))
    second.write_bytes(gzip.compress(b"b" * 10))
    code = """
def opened(epoch):
    path = f'{ml}/input/data/train_{epoch}'
    while not os.path.exists(path):
        time.sleep(0.005)
    return open(path, 'rb')
with opened(0) as pipe:
    data = pipe.read()
print(len(data), data.endswith(b'b' * 10))
with opened(1) as pipe:
    print(len(pipe.read(5)))
with opened(2) as pipe:
    print(len(pipe.read()))
"""
    pipe = Pipe("algo-1", "train", ((first,), (second,)), gzip=True)
    end, texts = lab.run(code, pipes=(pipe,))
    assert end.ok
    assert texts == ["3000010 True", "5", "3000010"]


def test_pipe_mode_recordio_shuffles_anew_each_epoch(lab: Lab, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"12345")
    entries = tuple((image, f'{{"label": {index}}}') for index in range(20))
    code = """
for epoch in range(2):
    path = f'{ml}/input/data/train_{epoch}'
    while not os.path.exists(path):
        time.sleep(0.005)
    with open(path, 'rb') as pipe:
        print(pipe.read().hex())
"""
    end, texts = lab.run(code, pipes=(Pipe("algo-1", "train", entries, record_wrapper="RecordIO", shuffle_seed=7),))
    assert end.ok
    epochs = [records(bytes.fromhex(text)) for text in texts]
    for sent in epochs:
        assert sent[0::2] == [b"12345"] * 20
        assert sorted(sent[1::2]) == sorted(f'{{"label": {index}}}'.encode() for index in range(20))
    assert epochs[0] != epochs[1]


def records(data: bytes) -> list[bytes]:
    """Read RecordIO as training.md section 5 gives it."""
    made = []
    while data:
        magic, size = struct.unpack("<II", data[:8])
        assert magic == 0xCED7230A
        made.append(data[8 : 8 + size])
        data = data[8 + size + -size % 4 :]
    return made


def test_checkpoints_are_mirrored_and_journalled(lab: Lab, tmp_path: Path) -> None:
    code = """
os.remove(ml + '/checkpoints/old')
os.makedirs(ml + '/checkpoints/deep')
open(ml + '/checkpoints/deep/new', 'w').write('n')
open(ml + '/checkpoints/.seen', 'w').close()
print('written')
time.sleep(60)
"""
    spec = lab.spec(code)
    local, remote = spec.hosts[0].opt_ml / "checkpoints", tmp_path / "remote"
    for folder in (local, remote):
        folder.mkdir()
        (folder / "old").write_text("o")
    (remote / "of another host").write_text("stays")
    spec = JobSpec.from_json({**spec.to_json(), "sync": [{"local": str(local), "remote": str(remote)}]})
    assert spec.sync == (Sync(local, remote),)
    handle = lab.start(spec)
    deadline = time.monotonic() + WAIT_S
    while not (remote / "deep" / "new").exists():  # while the job runs
        assert time.monotonic() < deadline
        assert lab.runner.wait(handle, 0.05) is None
    lab.runner.kill(handle)
    lab.runner.wait(handle, WAIT_S)
    changes = list(lab.runner.changes(handle))
    assert sorted((c.kind, c.sync, c.path) for c in changes) == [
        ("delete", 0, "old"),
        ("put", 0, ".seen"),
        ("put", 0, "deep/new"),
    ]
    assert sorted(path.name for path in remote.rglob("*") if path.is_file()) == [".seen", "new", "of another host"]
    assert list(lab.runner.changes(handle, changes[0].offset)) == changes[1:]


SERVE = """
import http.server
port = int(os.environ.get('SAGEMAKER_BIND_TO_PORT', 8080))
class Ping(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'pong')
http.server.HTTPServer(('', port), Ping).serve_forever()
"""


@pytest.mark.parametrize("isolated", [False, True])
def test_two_serving_jobs_are_reached_at_their_addresses(lab: Lab, isolated: bool) -> None:
    if isolated:
        needs(lab, "network of its own")
    handles = [lab.start(lab.spec(SERVE, ports=(8080,), isolated=isolated)) for _ in range(2)]
    places = set()
    for handle in handles:
        deadline = time.monotonic() + WAIT_S
        while True:
            assert lab.runner.poll(handle) is None, lab.texts(handle)
            assert time.monotonic() < deadline
            place = lab.runner.address(handle, "algo-1", 8080)
            with contextlib.suppress(OSError):
                if place and urllib.request.urlopen(f"http://{place[0]}:{place[1]}/", timeout=5).read() == b"pong":
                    break
            time.sleep(0.02)
        places.add(place)
    assert len(places) == 2


def test_a_missing_command_fails_with_a_reason(lab: Lab) -> None:
    end, texts = lab.run(("no-such-program", "train"))
    assert not end.ok
    if lab.kind in {"bwrap", "docker"}:
        assert end.reason == "start-failed"
        assert "no-such-program" in end.message + "".join(texts)
    else:
        assert end.hosts["algo-1"].code == 127


def test_a_missing_image_is_refused(lab: Lab) -> None:
    with pytest.raises(StartError, match="no/such"):
        lab.runner.start(lab.spec("pass", image=ImageRef("no/such:image", Path("/no/such"))))
