"""Lay out `/opt/ml` of every host of a job: configuration files, input data, and the directories it writes to.

Source: developer guide "How Amazon SageMaker provides training information" (2026-11). Runs in the job's thread and may
be done twice: it begins by clearing what an interrupted attempt left.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from backends.jobs import channels
from backends.jobs.spec import HostSpec, Mount, Pipe
from backends.jobs.supervisor import beneath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from backends.core.context import Context
    from backends.core.objects import StoredObject
    from backends.core.rows import Row
    from backends.jobs.channels import Channel

OPT_ML = "/opt/ml/"
EPOCH_BYTES = 12  # what `_<epoch>` adds to a channel's name
RESERVED = ("proc", "sys", "dev")  # the kernel's: nothing can be mounted there
SDK_DEFAULTS = "sagemaker-sdk.json"
NO_REPORTS = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
"""Defaults of the SageMaker SDK (JSON is YAML): in a job too it reports its use to AWS, and waits for that without end."""


@dataclass(frozen=True, slots=True)
class Host:
    """One host of a job: its name (`algo-1`), instance type and instance group."""

    name: str
    instance_type: str
    group: str = "homogeneousCluster"


def streams_of(row: Row, hosts: Iterable[Host]) -> dict[str, str]:
    """Return the log stream of each host of a job; they carry the second of its creation, as AWS's do."""
    return {host.name: f"{row.key}/{host.name}-{int(row.created)}" for host in hosts}


@dataclass(frozen=True)
class DirectoryLayout:
    """What every host of a job is given.

    `config`: the files of `config_folder` besides resourceconfig.json, by name. `directories`: what is made and can be
    written to. Folders are paths below /opt/ml.
    """

    directory: Path
    hosts: tuple[Host, ...]
    channels: tuple[Channel, ...]
    config: Mapping[str, Any]
    network_interface: str
    config_folder: str = "input/config"
    directories: tuple[str, ...] = ()

    def opt_ml(self, host: Host) -> Path:
        """Return what a host sees as /opt/ml."""
        return self.directory / host.name / "ml"


def lay_out(
    cx: Context, layout: DirectoryLayout, check: Callable[[], None]
) -> tuple[tuple[HostSpec, ...], tuple[Pipe, ...]]:
    """Write every host's /opt/ml; return the hosts and their pipes. `check` is called between files and may raise."""
    beneath.remove(layout.directory)
    specs: list[HostSpec] = []
    pipes: list[Pipe] = []
    for index, host in enumerate(layout.hosts):
        opt_ml = layout.opt_ml(host)
        for name in (layout.config_folder, *layout.directories):
            make_open(opt_ml / name, above=opt_ml.parent)
        write_config(opt_ml / layout.config_folder, layout, host)
        mounts: list[Mount] = []
        for channel in layout.channels:
            if channel.groups and host.group not in channel.groups:
                continue
            _deliver(cx, layout, channel, index, mounts, pipes, check)
        specs.append(HostSpec(host.name, opt_ml, tuple(mounts), {}))
        _check_pipes(opt_ml, [pipe for pipe in pipes if pipe.host == host.name])
    return tuple(specs), tuple(pipes)


def local_path(path: str, what: str) -> str:
    """Return a LocalPath without doubled and closing slashes. DataError, which names it as `what`, where none can be mounted.

    Unverified: which paths AWS refuses (of TensorBoardOutputConfig it names reserved ones).
    """
    parts = [part for part in path.split("/") if part not in {"", "."}]
    whole = "/" + "/".join(parts)
    if not path.startswith("/") or ".." in parts or "\0" in path or whole in {"/", "/opt", "/opt/ml"}:
        raise channels.DataError(f"the {what} {path!r} is not the absolute path of a directory below /opt/ml")
    if parts[0] in RESERVED:
        raise channels.DataError(f"the {what} {path!r} starts with the reserved path /{parts[0]}")
    if max(len(part.encode()) for part in parts) > channels.NAME_BYTES - EPOCH_BYTES:
        raise channels.DataError(f"the {what} {path!r} has a part that is longer than a file name can be")
    return whole


def make_open(directory: Path, above: Path) -> None:
    """Make a directory below `above` that any user of a container may write to. ValueError for one that is not below."""
    parts = directory.relative_to(above).parts
    if not parts:
        above.mkdir(parents=True, exist_ok=True)
        return
    above.mkdir(parents=True, exist_ok=True)
    at = beneath.root(str(above))
    try:
        os.close(beneath.make_directories(at, "/".join(parts), 0o777))
    finally:
        os.close(at)


def _make_folder(directory: Path, above: Path) -> None:
    """Make a directory as `make_open` does. DataError where a delivered file is in its way."""
    try:
        make_open(directory, above)
    except OSError as error:
        raise channels.DataError(f"/opt/ml/{directory.relative_to(above)} cannot be made: {error.strerror}") from error


def _check_pipes(opt_ml: Path, pipes: list[Pipe]) -> None:
    """Check that every FIFO has a folder to lie in and a name that nothing else has. DataError."""
    for pipe in pipes:
        _make_folder(opt_ml / pipe.folder, above=opt_ml)
        path = f"{pipe.folder}/{pipe.channel}_0"
        if os.path.lexists(opt_ml / path):
            raise channels.DataError(f"/opt/ml/{path} is a pipe and a file or folder at once")


def write_config(folder: Path, layout: DirectoryLayout, host: Host) -> None:
    """Write the job's configuration files, resourceconfig.json, and defaults for an SDK in the job."""
    shared = {**layout.config, SDK_DEFAULTS: NO_REPORTS, "resourceconfig.json": resource_config(layout, host)}
    for name, document in shared.items():
        (folder / name).write_bytes(orjson.dumps(document))
        (folder / name).chmod(0o644)


def resource_config(layout: DirectoryLayout, host: Host) -> dict[str, Any]:
    """Describe the cluster to one of its hosts. Hosts are sorted as text, as AWS does."""
    groups: dict[str, dict[str, Any]] = {}
    for other in layout.hosts:
        group = groups.setdefault(
            other.group, {"instance_group_name": other.group, "instance_type": other.instance_type, "hosts": []}
        )
        group["hosts"].append(other.name)
    for group in groups.values():
        group["hosts"].sort()
    return {
        "current_host": host.name,
        "current_instance_type": host.instance_type,
        "current_group_name": host.group,
        "hosts": sorted(other.name for other in layout.hosts),
        "instance_groups": list(groups.values()),
        "network_interface_name": layout.network_interface,
    }


def _deliver(
    cx: Context,
    layout: DirectoryLayout,
    channel: Channel,
    index: int,
    mounts: list[Mount],
    pipes: list[Pipe],
    check: Callable[[], None],
) -> None:
    """Deliver one channel to one host, by its mode."""
    host = layout.hosts[index]
    opt_ml = layout.opt_ml(host)
    if channel.file_system is not None:
        mounts.append(_file_system(cx, channel, opt_ml))
        return
    if channel.mode == "Pipe":
        pipes.append(_pipe(cx, layout, channel, index, check))
        return
    above = opt_ml
    _make_folder(opt_ml / channel.path, above=opt_ml)
    if channel.mode == "FastFile":
        # The job sees this read-only, so the files may be links to the stored objects.
        above = layout.directory / "fast" / host.name
        mounts.append(Mount(above / channel.path, f"{OPT_ML}{channel.path}", read_only=True))
    deliveries = cx.look(lambda inside: channels.objects_of(inside, channel))
    make_open(above / channel.path, above=above)
    for delivery in channels.share(deliveries, channel, *_place_among(layout, channel, index)):
        check()
        path = above / channel.path / delivery.path
        bring(cx, delivery.stored, path, above=above, link=channel.mode == "FastFile")


def bring(cx: Context, stored: StoredObject, path: Path, above: Path, *, link: bool = False) -> None:
    """Write an object's bytes to a new file below `above`. DataError, without a path of this machine, where it cannot be."""
    try:
        make_open(path.parent, above=above)
        cx.objects.copy_to(stored, path, link=link)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise channels.DataError(f"{stored.key!r} is a file and a folder at once") from error
    except FileNotFoundError as error:
        raise channels.DataError(f"{stored.key!r} was deleted while it was downloaded") from error
    except PermissionError as error:
        raise channels.DataError(str(error) if error.errno is None else f"{stored.key!r}: {error.strerror}") from error
    except OSError as error:
        raise channels.DataError(f"{stored.key!r}: {error.strerror}") from error


def _place_among(layout: DirectoryLayout, channel: Channel, index: int) -> tuple[int, int]:
    """Return a host's number among those that get the channel, and how many they are."""
    sharing = [n for n, host in enumerate(layout.hosts) if not channel.groups or host.group in channel.groups]
    return sharing.index(index), len(sharing)


def _file_system(cx: Context, channel: Channel, opt_ml: Path) -> Mount:
    """Mount a directory of `<data_dir>/filesystems/<FileSystemId>`, which stands for EFS or FSx here."""
    assert channel.file_system is not None
    root = _file_system_root(cx, channel.file_system)
    try:
        source = (root / channel.file_system["DirectoryPath"].lstrip("/")).resolve()
        is_there = source.is_relative_to(root) and source.is_dir()
    except (OSError, ValueError, RuntimeError):  # no name of a file, or links in a circle
        is_there = False
    if not is_there:
        raise channels.DataError(f"the directory {channel.file_system['DirectoryPath']} is not in {root}")
    make_open(opt_ml / channel.path, above=opt_ml)
    read_only = channel.file_system["FileSystemAccessMode"] == "ro"
    return Mount(source, f"{OPT_ML}{channel.path}", read_only=read_only)


def _file_system_root(cx: Context, file_system: dict[str, Any]) -> Path:
    """Return where a file system is; whoever runs the server may have made it a link."""
    root: Path = cx.settings.data_dir / "filesystems" / file_system["FileSystemId"]
    return root.resolve()


def check_file_systems(cx: Context, used: tuple[Channel, ...], hosts: tuple[HostSpec, ...]) -> None:
    """Check that no link has taken the place of a directory that is about to be mounted. DataError where one has.

    Other jobs may write to the same file system, and the runner mounts by path: to be called right before the start.
    """
    mounts = {mount.target: mount for host in hosts for mount in host.mounts}
    for channel in used:
        mount = mounts.get(f"{OPT_ML}{channel.path}")
        if channel.file_system is None or mount is None:
            continue
        root = _file_system_root(cx, channel.file_system)
        try:
            at = beneath.root(str(root))
            try:
                inner = mount.source.relative_to(root)
                os.close(beneath.directory(at, "" if not inner.parts else str(inner)))
            finally:
                os.close(at)
        except (OSError, ValueError) as error:
            raise channels.DataError(f"the directory of channel {channel.name} was replaced meanwhile") from error


def _pipe(cx: Context, layout: DirectoryLayout, channel: Channel, index: int, check: Callable[[], None]) -> Pipe:
    """Prepare the FIFOs of one host. Objects are linked into the job's directory: they may be deleted while it runs."""
    folder = layout.directory / "pipe" / layout.hosts[index].name / str(layout.channels.index(channel))
    folder.mkdir(parents=True)
    lines: list[tuple[StoredObject | str, ...]]
    if channel.data_type == "AugmentedManifestFile":
        lines = cx.look(lambda inside: channels.lines_of(inside, channel))
    else:
        lines = [(d.stored,) for d in cx.look(lambda inside: channels.objects_of(inside, channel))]
    count = 0
    entries: list[tuple[Path | str, ...]] = []
    for line in channels.share(lines, channel, *_place_among(layout, channel, index)):
        parts: list[Path | str] = []
        for part in line:
            if isinstance(part, str):
                parts.append(part)
                continue
            check()
            count += 1
            path = folder / str(count)
            bring(cx, part, path, above=folder.parent, link=True)
            parts.append(path)
        entries.append(tuple(parts))
    place, _, name = channel.path.rpartition("/")
    return Pipe(
        layout.hosts[index].name,
        name,
        tuple(entries),
        folder=place,
        gzip=channel.compression == "Gzip",
        record_wrapper="RecordIO" if channel.record_wrapper == "RecordIO" else "None",
        shuffle_seed=channel.shuffle_seed,
    )
