"""What every test gets: no credentials, no proxies, no network beyond loopback, and the shared data by name."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent

# Set before anything imports JAX. Compiled programs are kept between runs: compilation is most of a test's time.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
# A limit makes JAX lock the cache that the test processes share.
os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(2**31))
os.environ.setdefault("PYTENSOR_FLAGS", f"base_compiledir={ROOT / '.pytensor_cache'}")
os.environ.setdefault("MPLBACKEND", "agg")

_MOST_MAPPINGS = 20_000
"""Memory mappings, of the 65,530 that Linux allows a process, from which compiled programs are let go."""

_CREDENTIAL = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_PROXY = re.compile(r"^(https?|all|no|ftp)_proxy$", re.IGNORECASE)


def is_set(name: str) -> bool:
    """Whether an environment variable is switched on."""
    return os.environ.get(name, "").lower() in {"1", "true", "yes"}


def require(present: bool, what: str, *, insist: bool = False) -> None:
    """Go on where `what` is present; else skip with the reason, or fail where it is insisted on (always in CI)."""
    if not present:
        (pytest.fail if insist or is_set("CI") else pytest.skip)(f"{what} is not here")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove API keys and proxy settings, so that no test can depend on, or send, what the caller's shell holds."""
    for name in list(os.environ):
        if _CREDENTIAL.search(name) or _PROXY.match(name):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module", autouse=True)
def let_programs_go() -> Iterator[None]:
    """Each compiled program holds mappings of memory, and a process that runs out of them crashes while compiling."""
    yield
    mappings = Path("/proc/self/maps")
    if "jax" in sys.modules and mappings.exists() and mappings.read_bytes().count(b"\n") > _MOST_MAPPINGS:
        sys.modules["jax"].clear_caches()


def _is_loopback(address: object) -> bool:
    if not isinstance(address, tuple):  # AF_UNIX paths
        return True
    host = str(address[0]).split("%")[0]
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def loopback_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse every connection beyond loopback, and fail the test even where the code swallows the refusal."""
    if request.node.get_closest_marker("network"):
        yield
        return
    attempts: list[str] = []

    def refuse(address: object) -> None:
        attempts.append(repr(address))
        raise RuntimeError(f"a test tried to reach {address!r}; only loopback is open (mark it `network` if it must)")

    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: object) -> None:
        if not _is_loopback(address):
            refuse(address)
        connect(self, address)  # type: ignore[arg-type]

    def guarded_connect_ex(self: socket.socket, address: object) -> int:
        if not _is_loopback(address):
            refuse(address)
        return connect_ex(self, address)  # type: ignore[arg-type]

    def guarded_getaddrinfo(host: object, *args: object, **kwargs: object) -> object:
        name = host.decode() if isinstance(host, bytes) else host
        # None and the wildcard address are what a server binds to; nothing is looked up for them.
        if name is not None and name != "0.0.0.0" and not _is_loopback((name,)):
            refuse((name, *args[:1]))
        return getaddrinfo(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
    yield
    if attempts:
        pytest.fail(f"left loopback {len(attempts)} time(s), first to {attempts[0]}")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data sets, `../shared/data` (or where PSYMETRIC_DATA points)."""
    path = Path(os.environ.get("PSYMETRIC_DATA") or ROOT.parent / "shared" / "data")
    require(path.is_dir(), "the shared data folder (../shared/data, or PSYMETRIC_DATA)")
    return path


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The folder of reference fits, `../shared/oracles`."""
    path = ROOT.parent / "shared" / "oracles"
    require(path.is_dir(), "the oracle folder (../shared/oracles)")
    return path


@pytest.fixture(scope="session")
def pymc() -> None:
    """PyMC, which the extra `pymc` brings."""
    require(find_spec("pymc") is not None, "PyMC (the extra `pymc`)")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium (the system's) that can open files and loopback pages only."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    require(path is not None, "Chromium", insist=is_set("PSYMETRIC_REQUIRE_BROWSER"))
    from playwright.sync_api import sync_playwright

    quiet = ("gpu", "quic", "background-networking", "component-update", "sync")
    only_loopback = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
    # Not for the whole session: its event loop would stay in the way of asyncio.run in later modules.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet), only_loopback],
        )
        yield browser
        browser.close()


@pytest.fixture
def record_validation() -> Callable[[str, str, Sequence[Mapping[str, object]]], None]:
    """Write a table of measured numbers: `record_validation("Coverage", "what was simulated, how often", rows)`.

    `make validate` sets PSYMETRIC_VALIDATION to the folder it goes to; elsewhere nothing is written.
    """
    folder = os.environ.get("PSYMETRIC_VALIDATION")

    def record(title: str, method: str, rows: Sequence[Mapping[str, object]]) -> None:
        if folder is None:
            return
        head = [*rows[0]]
        cells = [head, ["---"] * len(head), *([f"{value}" for value in row.values()] for row in rows)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in cells)
        (ROOT / folder / f"{title.lower().replace(' ', '_')}.md").write_text(
            f"# {title}\n\n{method}\n\n{table}\n", encoding="utf-8"
        )

    return record
