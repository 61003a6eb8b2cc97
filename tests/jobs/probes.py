"""What a hostile job tries: a script of its own, run inside a job; prints {probe: what came of it} as JSON.

A probe's outcome is "done" where it got what it wanted, else the error's text. Standard library only: it runs in any image.
"""

import ctypes
import glob
import json
import os
import pathlib
import resource
import signal
import socket
import sys

GIVEN = json.loads(sys.argv[1])  # paths of the machine that the job has no business with
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x00020000


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def read(path):
    with open(path, "rb") as file:
        file.read(1)


def write(path):
    with open(path, "r+b" if os.path.exists(path) else "wb") as file:
        file.write(b"x")
        file.flush()


def make(path):
    pathlib.Path(path, "made-by-a-job").write_text("x")


def link(path):
    os.link(path, "/tmp/linked")
    with open("/tmp/linked", "r+b"):
        pass


def device(path, kind, major, minor):
    os.mknod(path, kind | 0o666, os.makedev(major, minor))
    read(path)


def others():
    own = {os.getpid(), os.getppid(), 1}
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in own]
    strangers = [pid for pid in pids if b"probes" not in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    # bubblewrap's and Docker's own init have no command line of the machine's
    if strangers and any(b"dockerd" in pathlib.Path(f"/proc/{p}/cmdline").read_bytes() for p in strangers):
        return
    if len(strangers) > 4:
        return
    raise OSError(0, "none of the machine's")


def descriptors():
    opened = []
    for name in os.listdir("/proc/self/fd"):
        target = os.readlink(f"/proc/self/fd/{name}") if os.path.lexists(f"/proc/self/fd/{name}") else ""
        if int(name) > 2 and target.startswith("/") and not target.startswith(("/proc/", "/dev/null")):
            opened.append(target)
    if not opened:
        raise OSError(0, "none")


def user_namespace_mount():
    pid = os.fork()
    if pid == 0:
        try:
            call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
            call("mount", b"/usr", b"/usr", b"", 0x1000 | 0x20, None)  # remount writable
            write("/usr/bin/env")
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        raise OSError(0, "refused")


def connect(address, kind=socket.AF_INET):
    with socket.socket(kind, socket.SOCK_STREAM) as made:
        made.settimeout(1)
        made.connect(address)


def raw(family, kind, protocol):
    socket.socket(family, kind, protocol).close()


def signal_server():
    os.kill(GIVEN["pid"], 0)


def as_root():
    os.setuid(0)
    read("/etc/shadow-of-the-machine" if not os.path.exists("/etc/shadow") else GIVEN["secret"])


def escape_chroot():
    os.mkdir("/tmp/jail")
    os.chroot("/tmp/jail")
    for _ in range(30):
        os.chdir("..")
    os.chroot(".")
    read(GIVEN["secret"])


PROBES = {
    "read the machine's secret": lambda: read(GIVEN["secret"]),
    "read it through init's root": lambda: read("/proc/1/root" + GIVEN["secret"]),
    "read it through the parent's": lambda: read(f"/proc/{os.getppid()}/root" + GIVEN["secret"]),
    "read it through the parent's cwd": lambda: read(f"/proc/{os.getppid()}/cwd/../../../../../.." + GIVEN["secret"]),
    "write beside it": lambda: make(GIVEN["folder"]),
    "link it": lambda: link(GIVEN["secret"]),
    "read the job's plan": lambda: read(GIVEN["plan"]),
    "read the data directory": lambda: os.listdir(GIVEN["data"]),
    "read another job's files": lambda: os.listdir(GIVEN["other"]),
    "write into the state of the job": lambda: make(os.path.dirname(GIVEN["plan"])),
    "read passwords": lambda: os.path.exists("/etc/sudoers.d") and read("/etc/gshadow-") or read(GIVEN["secret"]),
    "write a program": lambda: write("/usr/bin/env") if not GIVEN["image"] else read(GIVEN["secret"]),
    "make a program": lambda: make("/usr/bin") if not GIVEN["image"] else read(GIVEN["secret"]),
    "write the loader's cache": lambda: write("/etc/ld.so.cache") if not GIVEN["image"] else read(GIVEN["secret"]),
    "set the core pattern": lambda: write("/proc/sys/kernel/core_pattern"),
    "set the module loader": lambda: write("/proc/sys/kernel/modprobe"),
    "press a system key": lambda: write("/proc/sysrq-trigger"),
    "read the kernel's memory": lambda: read("/proc/kcore"),
    "read the kernel's log": lambda: read("/proc/kmsg"),
    "read /dev/mem": lambda: read("/dev/mem"),
    "read /dev/kmsg": lambda: read("/dev/kmsg"),
    "read the disk": lambda: [read(path) for path in ("/dev/vda", "/dev/sda", "/dev/nvme0n1")],
    "make a disk": lambda: device("/tmp/disk", 0o060000, *GIVEN["disk"]),
    "make a memory device": lambda: device("/tmp/mem", 0o020000, 1, 1),
    "ask the engine": lambda: connect("/var/run/docker.sock", socket.AF_UNIX),
    "ask the engine at /run": lambda: connect("/run/docker.sock", socket.AF_UNIX),
    "ask containerd": lambda: connect("/run/containerd/containerd.sock", socket.AF_UNIX),
    "set a release agent": lambda: [write(path) for path in glob.glob("/sys/fs/cgroup/*/release_agent")] or 1 / 0,
    "make a control group": lambda: os.mkdir(
        "/sys/fs/cgroup/memory/made-by-a-job"
        if os.path.isdir("/sys/fs/cgroup/memory")
        else "/sys/fs/cgroup/made-by-a-job"
    ),
    "raise the memory limit": lambda: (
        [
            write(p)
            for p in glob.glob("/sys/fs/cgroup/memory/memory.limit_in_bytes") + glob.glob("/sys/fs/cgroup/memory.max")
        ]
        or 1 / 0
    ),
    "suspend the machine": lambda: write("/sys/power/state"),
    "read debugfs": lambda: os.listdir("/sys/kernel/debug/tracing"),
    "mount a file system": lambda: call("mount", b"tmpfs", b"/mnt", b"tmpfs", 0, None),
    "mount proc": lambda: call("mount", b"proc", b"/tmp", b"proc", 0, None),
    "unmount what hides": lambda: call("umount2", b"/proc/sys", 2),
    "write by a user namespace": user_namespace_mount,
    "enter init's namespaces": lambda: (
        call("setns", os.open("/proc/1/ns/mnt", os.O_RDONLY), 0) or read(GIVEN["secret"])
    ),
    "become root and read": as_root,
    "leave a chroot": escape_chroot,
    "load a module": lambda: call("syscall", 175, b"", 0, b""),
    "restart the machine": lambda: call("reboot", 0x89ABCDEF),  # switches Ctrl-Alt-Del on: harmless where it works
    "set the clock": lambda: call("settimeofday", ctypes.create_string_buffer(16), None),
    "name the machine": lambda: pathlib.Path("/proc/sys/kernel/hostname").write_text("owned"),
    "raise a hard limit": lambda: resource.setrlimit(
        resource.RLIMIT_NICE, (resource.getrlimit(resource.RLIMIT_NICE)[1] + 5,) * 2
    ),
    "go in front": lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
    "run in real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "never be killed": lambda: pathlib.Path("/proc/self/oom_score_adj").write_text("-1000"),
    "signal the server": signal_server,
    "see the machine's processes": others,
    "inherit descriptors": descriptors,
    # In a container init is the job's own, and stopping it would only stop the job.
    "trace init": lambda: call("ptrace", 16, 1, 0, 0) if not GIVEN["image"] else read(GIVEN["secret"]),
    "read init's environment": lambda: read("/proc/1/environ") or (GIVEN["image"] and 1 / 0),
    "read init's memory": lambda: read("/proc/1/mem"),
    "listen to packets": lambda: raw(socket.AF_PACKET, socket.SOCK_RAW, 3),
    "forge packets": lambda: raw(socket.AF_INET, socket.SOCK_RAW, 1),
    "ask the database of sockets for a raw one": lambda: raw(socket.AF_INET6, socket.SOCK_RAW, 58),
    "give itself a tunnel": lambda: read("/dev/net/tun"),
    "use a hypervisor": lambda: read("/dev/kvm"),
    "load a program into the kernel": lambda: call("syscall", 321, 5, ctypes.create_string_buffer(128), 128),
    "open by handle": lambda: call("open_by_handle_at", -100, ctypes.create_string_buffer(64), 0),
    "account processes": lambda: call("acct", b"/tmp/acct"),
    "swap": lambda: call("swapon", b"/tmp/none", 0),
    "ports of the hardware": lambda: call("iopl", 3),
}


def main():
    signal.alarm(60)
    outcomes = {}
    for name, probe in PROBES.items():
        try:
            probe()
            outcomes[name] = "done"
        except OSError as error:
            outcomes[name] = error.strerror or str(error)
        except Exception as error:
            outcomes[name] = type(error).__name__
    print(json.dumps(outcomes))


main()
