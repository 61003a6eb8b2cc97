"""Batches what queued while the last batch ran: no window to wait for, so a lone request is never delayed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from containers.inference.model import ON_THE_LOOP_S

if TYPE_CHECKING:
    from containers.inference.model import Model

MAX_BATCH_ROWS = 256

Feeds = dict[str, np.ndarray]
_Waiting = tuple[Feeds, "asyncio.Future[list[np.ndarray]]"]


class Batcher:
    """Runs feeds, each input [n, ...], and gives each caller its own rows of the outputs."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._waiting: list[_Waiting] = []
        self._running = False
        self._thread = ThreadPoolExecutor(1, "onnx")
        self._tasks: set[asyncio.Task[None]] = set()

    def run_now(self, feeds: Feeds) -> list[np.ndarray] | None:
        """Run on the caller's thread if that takes less than a hop to another one would; else return None."""
        row_s = self._model.row_s
        if row_s is None or row_s * _rows(feeds) >= ON_THE_LOOP_S:
            return None
        return self._model.run(feeds)

    async def run(self, feeds: Feeds) -> list[np.ndarray]:
        """Queue for the thread; returns this caller's outputs."""
        future: asyncio.Future[list[np.ndarray]] = asyncio.get_running_loop().create_future()
        self._waiting.append((feeds, future))
        if not self._running:
            self._running = True
            task = asyncio.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await future

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = self._take()
                try:
                    results = await loop.run_in_executor(self._thread, self._run_batch, [feeds for feeds, _ in batch])
                except Exception as error:  # noqa: BLE001 - it belongs to the callers, who wait for it
                    await self._run_singly(batch, error)
                    continue
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
        finally:
            self._running = False

    def _take(self) -> list[_Waiting]:
        """Take the oldest request and all that may share its run."""
        first, *others = self._waiting
        batch, rows = [first], _rows(first[0])
        left: list[_Waiting] = []
        for waiting in others:
            fits = (
                self._model.batches and rows + _rows(waiting[0]) <= MAX_BATCH_ROWS and _stackable(first[0], waiting[0])
            )
            (batch if fits else left).append(waiting)
            rows += _rows(waiting[0]) if fits else 0
        self._waiting = left
        return batch

    def _run_batch(self, batch: list[Feeds]) -> list[list[np.ndarray]]:
        if len(batch) == 1:
            return [self._model.run(batch[0])]
        outputs = self._model.run({name: np.concatenate([feeds[name] for feeds in batch]) for name in batch[0]})
        ends = np.cumsum([_rows(feeds) for feeds in batch])[:-1]
        pieces = [np.split(output, ends) for output in outputs]
        return [[piece[place] for piece in pieces] for place in range(len(batch))]

    async def _run_singly(self, batch: list[_Waiting], error: Exception) -> None:
        """Answer with an error the request that caused it, and the others their answers."""
        loop = asyncio.get_running_loop()
        for feeds, future in batch:
            outcome: list[np.ndarray] | Exception = error
            if len(batch) > 1:
                try:
                    outcome = await loop.run_in_executor(self._thread, self._model.run, feeds)
                except Exception as own:  # noqa: BLE001 - handed to the caller
                    outcome = own
            if future.done():
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


def _rows(feeds: Feeds) -> int:
    first = next(iter(feeds.values()))
    return first.shape[0] if first.ndim else 1


def _stackable(left: Feeds, right: Feeds) -> bool:
    return all(left[name].shape[1:] == right[name].shape[1:] and len(right[name]) == _rows(right) for name in left)
