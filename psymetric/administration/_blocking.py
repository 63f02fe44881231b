"""Run a coroutine to its end from synchronous code, also where an event loop runs already (a notebook)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

__all__ = ["run_blocking"]


def run_blocking(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine; Ctrl-C cancels it, lets it clean up, and raises KeyboardInterrupt."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
    else:
        _in_thread(coroutine)


def _in_thread(coroutine: Coroutine[Any, Any, None]) -> None:
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
    failed: list[BaseException] = []

    async def main() -> None:
        task = asyncio.current_task()
        if task is not None:
            started.append((asyncio.get_running_loop(), task))
        await coroutine

    def work() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failed.append(error)

    thread = threading.Thread(target=work, name="psymetric-administer")
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        # The interrupt reaches the main thread only; pass it on and wait for the clean-up.
        for loop, task in started:
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    if failed:
        raise failed[0]
