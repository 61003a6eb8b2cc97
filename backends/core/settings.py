"""Settings: `LOCALMAKER_<NAME>` in the environment, its default, and in its annotation the sentence that documents it.

These are the server's; a component declares its own in the same form (`declared/settings.py`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
PREFIX = "LOCALMAKER_"


class SettingError(ValueError):
    """A setting has a value that it cannot have; the message names it."""


def default_data_dir() -> Path:
    """Return `$XDG_DATA_HOME/localmaker`, or `~/.local/share/localmaker`."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "localmaker"


def default_cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/localmaker`, or `~/.cache/localmaker`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "localmaker"


@dataclass(frozen=True)
class Settings:
    """What the user decided, read once at start."""

    host: Annotated[str, "Address the server listens on."] = "127.0.0.1"
    port: Annotated[int, "Port the server listens on; 0 takes a free one."] = 4566
    data_dir: Annotated[Path, "Folder of state, objects and jobs."] = field(default_factory=default_data_dir)
    cache_dir: Annotated[Path, "Folder of the virtual environments that recipes are made into."] = field(
        default_factory=default_cache_dir
    )
    database_url: Annotated[str, "SQLAlchemy URL of a PostgreSQL database; empty: SQLite in the data directory."] = ""
    durability: Annotated[
        Literal["process", "power"],
        "What an acknowledged write survives: `process` (kill -9) or `power` (a power cut; slower).",
    ] = "process"
    runner: Annotated[
        Literal["auto", "docker", "process"],
        "Where jobs run: `docker`, `process`, or `auto` (Docker when an engine answers and the image can be had).",
    ] = "auto"
    base_image: Annotated[str, "Image that the recipes' Dockerfile starts from."] = "python:3.11-slim"
    max_body_bytes: Annotated[int, "Largest body of a request that is not streamed, in bytes."] = 32 * 1024 * 1024
    auth: Annotated[
        Literal["off", "enforce"],
        "`off`: any credentials pass; `enforce`: every signature is verified, with AWS's errors (docs/authentication.md).",
    ] = "off"
    keys_file: Annotated[
        Path | None, "Access keys that `LOCALMAKER_AUTH=enforce` knows, in the format of AWS's shared credentials file."
    ] = None
    allowed_hosts: Annotated[
        str, "Host names, with commas, under which the server may be asked besides addresses and local names."
    ] = ""
    allowed_origins: Annotated[
        str, "Origins, with commas, whose pages may send requests from a browser: `http://localhost:3000`."
    ] = ""
    offline: Annotated[
        bool, "Connect shells of `localmaker env` to no host but AWS's, which are this server itself (docs/clients.md)."
    ] = False
    iam: Annotated[
        Literal["off", "soft", "enforce"],
        "Policies of users and roles: `off`, `soft` (log and record what would be denied) or `enforce` (docs/iam.md).",
    ] = "off"
    roles: Annotated[
        Literal["any", "existing"],
        "Role ARNs in requests: `any` of the account (made at first use) or only `existing` ones that trust SageMaker.",
    ] = "any"
    init_dir: Annotated[Path | None, "Folder of init scripts (docs/init.md); empty: `init` in the data directory."] = (
        None
    )
    init_timeout_s: Annotated[int, "Seconds after which an init script is stopped and counts as failed."] = 600
    init_strict: Annotated[bool, "An init script that fails ends the server."] = False

    environment: dict[str, str] = field(default_factory=dict, repr=False)
    """The variables that the components' own settings are read from."""

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None, **given: Any) -> Self:
        """Read the environment; keyword arguments that are not None win. SettingError naming a bad value."""
        environment = os.environ if environment is None else environment
        own = {name: text for name, text in environment.items() if name.startswith(PREFIX)}
        return read(cls, own, environment=own, **given)

    @property
    def sqlalchemy_url(self) -> str:
        """The database this installation uses."""
        return self.database_url or f"sqlite:///{self.data_dir / 'state.db'}"


def read(kind: type[T], variables: Mapping[str, str], **given: Any) -> T:
    """Read settings of a kind; keyword arguments that are not None win. SettingError naming a bad value."""
    hints = get_type_hints(kind)
    values = {name: value for name, value in given.items() if value is not None}
    for entry in fields(kind):  # type: ignore[arg-type]
        variable, hint = variable_of(entry.name), hints[entry.name]
        text = variables.get(variable, "")
        if text and entry.name not in values:
            values[entry.name] = _convert(variable, hint, text)
        if get_origin(hint) is Literal and values.get(entry.name, entry.default) not in get_args(hint):
            raise SettingError(f"{variable} must be one of {', '.join(get_args(hint))}")
    return kind(**values)


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def manual(kind: type = Settings) -> dict[str, str]:
    """Return the variable of every setting of a kind and its sentence, for the documentation and its test."""
    hints = get_type_hints(kind, include_extras=True)
    return {variable_of(name): hint.__metadata__[0] for name, hint in hints.items() if get_origin(hint) is Annotated}


def _convert(variable: str, kind: Any, text: str) -> Any:
    try:
        if kind is int:
            return int(text)
        if kind is bool:
            return {"1": True, "true": True, "0": False, "false": False}[text.lower()]
    except (KeyError, ValueError):
        raise SettingError(f"{variable}={text!r} is not {'a number' if kind is int else '0 or 1'}") from None
    return Path(text).expanduser().absolute() if kind in {Path, Path | None} else text
