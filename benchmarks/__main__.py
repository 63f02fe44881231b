"""Run every benchmark and write docs/benchmarks.md: `make bench`."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from benchmarks import bench_bradley_terry, bench_mfrm, bench_nuts

PAGE = Path(__file__).resolve().parents[1] / "docs/benchmarks.md"
HEAD = """# Benchmarks

Wall seconds beside named programs on identical data, each in a process of its own, the same optimum checked. *Cold* is
the first call in a fresh process, imports and compilation included, with no compilation cache. *Warm* is the best of
six later calls, three in each of two processes; the programs take turns. What matters is the ratio: absolute times are
those of one machine on one day ({machine}; load average at the end {load:.1f}, so that the cores were
{shared}).

Samplers are compared by effective draws per second instead.

Written by `make bench`, which fails where the optima differ or a required ratio is missed. `mirt` keeps all cores busy
and suffers more than psymetric where others want them: on a busy machine the ratio is several times higher than on an
idle one.
"""


def main() -> None:
    sections: list[str] = []
    missed: list[str] = []
    for benchmark in (bench_mfrm, bench_bradley_terry, bench_nuts):
        title, text, met, lines = benchmark.run()
        missed += [] if met else [title]
        print(title, *lines, sep="\n")
        sections.append(f"## {title}\n\n{text}\n")
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    machine = f"{cores} cores, {platform.machine()}, Python {platform.python_version()}"
    shared = "shared with other work" if load > cores else "free"
    PAGE.write_text("\n".join([HEAD.format(machine=machine, load=load, shared=shared), *sections]), encoding="utf-8")
    print(f"wrote {PAGE.name}")
    if missed:
        raise SystemExit(f"required ratio missed: {missed}")


if __name__ == "__main__":
    main()
