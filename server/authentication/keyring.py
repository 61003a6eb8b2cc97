"""Where secrets are found: keys that this server issued (IAM, AssumeRole, jobs), and those of the user's keys file."""

from __future__ import annotations

import configparser
import os
import secrets
from typing import TYPE_CHECKING

from backends.core.context import DEFAULT_ACCOUNT
from backends.core.keys import ALPHABET, Key
from backends.core.memory import InMemory

if TYPE_CHECKING:
    from pathlib import Path

    from backends.core.kernel import Kernel
    from backends.core.settings import Settings

FILE_KEYS = InMemory[dict[str, Key]]("server.file_keys", lambda _kernel: {})
"""The keys of the keys file, by their ids."""
ADMIN_TOKEN = InMemory[str]("server.admin_token")


def find(kernel: Kernel, access_key: str) -> Key | None:
    """Find a key by its id; None when it is unknown."""
    return FILE_KEYS.of(kernel).get(access_key) or kernel.issued_key(access_key)


def of_file(kernel: Kernel, access_key: str) -> Key | None:
    """Find a key of the keys file, which is there under `enforce` only."""
    return FILE_KEYS.of(kernel).get(access_key)


def load(kernel: Kernel) -> None:
    """Read the keys file, and make the token of the admin API; under `enforce` only. Raises ValueError, OSError."""
    if kernel.settings.auth == "off":
        return
    ADMIN_TOKEN.set(kernel, secrets.token_urlsafe(30))
    path = path_of(kernel.settings)
    if not path.exists() and kernel.settings.keys_file is None:
        _make(path)
    FILE_KEYS.set(kernel, read(path))


def path_of(settings: Settings) -> Path:
    """Where the keys file lies: as set, or in the data directory, where a first one is made."""
    return settings.keys_file or settings.data_dir / "credentials"


def read(path: Path) -> dict[str, Key]:
    """Read keys in the format of AWS's shared credentials file; `aws_account_id` says whose a key is."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except configparser.Error as error:
        raise ValueError(f"LOCALMAKER_KEYS_FILE {path}: {error}") from error
    keys = {}
    for name in parser.sections():
        section = parser[name]
        if "aws_access_key_id" not in section or "aws_secret_access_key" not in section:
            raise ValueError(f"LOCALMAKER_KEYS_FILE {path}: [{name}] has no aws_access_key_id or aws_secret_access_key")
        access_key = section["aws_access_key_id"]
        own = access_key if len(access_key) == 12 and access_key.isascii() and access_key.isdigit() else DEFAULT_ACCOUNT
        account = section.get("aws_account_id", own)
        keys[access_key] = Key(
            access_key, section["aws_secret_access_key"], "", account, "", None, active=True, created=0.0
        )
    return keys


def _make(path: Path) -> None:
    key = "AKIALM" + "".join(secrets.choice(ALPHABET) for _ in range(14))
    text = (
        "# The first key of this LocalMaker; read at the start. `localmaker env` exports it.\n"
        f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secrets.token_urlsafe(30)}\n"
        f"aws_account_id = {DEFAULT_ACCOUNT}\n"
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
