"""The one way into an isolated job: connections to its serving port.

The supervisor of an isolated process job lives in the job's own network namespace. The listening socket was made by the
server outside of it and handed down, and a socket stays in the namespace where it was made: so what is accepted from
outside can be joined to the job's port inside, while nothing inside can reach out.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import threading

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def raise_loopback() -> None:
    """Switch on `lo`, which is down in a fresh network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(probe, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


def start(fd: int, ip: str, port: int) -> None:
    """Accept on the listening socket `fd` for ever and join each connection to `ip:port`."""
    listener = socket.socket(fileno=fd)
    threading.Thread(target=_accept, args=(listener, ip, port), daemon=True).start()


def _accept(listener: socket.socket, ip: str, port: int) -> None:
    while True:
        outside, _ = listener.accept()
        try:
            inside = socket.create_connection((ip, port), timeout=10)
        except OSError:
            outside.close()
            continue
        inside.settimeout(None)
        for pair in ((outside, inside), (inside, outside)):
            threading.Thread(target=_copy, args=pair, daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
