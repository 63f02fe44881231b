"""One collector per store: an advisory file lock that the kernel releases even after `kill -9`."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import final

from psymetric.errors import StoreError

__all__ = ["FileLock"]


@final
class FileLock:
    """An exclusive lock on a file beside the store; the file is removed when the lock is given up.

    Args:
        path: The lock file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, or fail at once.

        Raises:
            StoreError: Another process holds it, or the folder cannot be written to.
        """
        while self._descriptor is None:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise StoreError(f"cannot write {self._path}: {error.strerror}; make the folder writable") from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                store = self._path.with_suffix("")
                raise StoreError(
                    f"store {store}: another run is asking for it now; wait for that or stop it"
                ) from error
            if self._is_current(descriptor):
                self._descriptor = descriptor
            else:
                # The holder removed the file between our open and our lock.
                os.close(descriptor)

    def release(self) -> None:
        """Give the lock up; does nothing when it is not held."""
        if self._descriptor is not None:
            with suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
            self._descriptor = None

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.stat(self._path).st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            return False
