"""A kernel of its own for each test, on a temporary directory, with the components that the test declares."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from backends.core.kernel import Kernel
from backends.core.settings import Settings
from tests import postgresql

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from types import ModuleType

ACCOUNT = "111122223333"
REGION = "us-east-1"


@pytest.fixture
def with_kernel(tmp_path: Path) -> Callable[..., Any]:
    """Return `with_kernel(work, *modules)`: run `await work(kernel)` on a started kernel that is stopped afterwards."""

    def run(work: Callable[[Kernel], Awaitable[Any]], *modules: ModuleType) -> Any:
        async def main() -> Any:
            url = postgresql.database_for(tmp_path) if postgresql.is_wanted() else None
            kernel = Kernel(Settings.read({}, data_dir=tmp_path, database_url=url), modules)
            kernel.open()
            await kernel.start()
            try:
                return await work(kernel)
            finally:
                await kernel.stop()

        return asyncio.run(main())

    return run
