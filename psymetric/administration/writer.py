"""One task that writes to the store: rows that arrive while it commits go together into the next transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from psymetric.errors import StoreError

if TYPE_CHECKING:
    from types import TracebackType

    from psymetric.administration.store import Store

__all__ = ["Writer"]

_LARGEST_BATCH: Final = 2_000


class Writer:
    """Writes rows durably, in batches, without holding up the event loop.

    Args:
        store: Where to.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: asyncio.Queue[tuple[Mapping[str, Any], asyncio.Future[None]]] = asyncio.Queue()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="psymetric-store")
        self._task: asyncio.Task[None] | None = None
        self._broken: StoreError | None = None

    async def __aenter__(self) -> Writer:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._queue.join()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._thread.shutdown()

    async def write(self, row: Mapping[str, Any]) -> None:
        """Return once the row is durable.

        Raises:
            StoreError: It could not be written.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((row, written))
        # A caller that is cancelled while waiting must not take its row's future with it.
        await asyncio.shield(written)

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < _LARGEST_BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            error = self._broken or await self._commit([row for row, _ in batch])
            for _, written in batch:
                self._queue.task_done()
                if not written.done():
                    written.set_result(None) if error is None else written.set_exception(error)
                    # Whoever waited may be gone; the error also reaches the run through the others.
                    written.exception()

    async def _commit(self, rows: list[Mapping[str, Any]]) -> StoreError | None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store.append, rows)
        except StoreError as error:
            # Later batches are refused too: the run is about to stop, and nothing may count as stored that is not.
            self._broken = error
        except Exception as error:  # noqa: BLE001 - a writer that dies in silence would hang the run
            self._broken = StoreError(f"cannot write to store {self._store.path} ({type(error).__name__}: {error})")
            self._broken.__cause__ = error
        return self._broken
