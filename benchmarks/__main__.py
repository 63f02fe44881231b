"""Run every benchmark and write docs/benchmarks.md: `make bench`."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from benchmarks import (
    bench_bradley_terry,
    bench_cml,
    bench_large,
    bench_mfrm,
    bench_nuts,
    bench_pair_nuts,
    bench_truth,
    bench_two_pl,
)
from benchmarks.runner import PATIENCE

BENCHMARKS = (
    bench_two_pl,
    bench_mfrm,
    bench_large,
    bench_cml,
    bench_nuts,
    bench_bradley_terry,
    bench_pair_nuts,
    bench_truth,
)

PAGE = Path(__file__).resolve().parents[1] / "docs/benchmarks.md"
HEAD = """# Benchmarks

Wall seconds beside named programs on identical data, each in a process of its own, the same optimum checked. *Cold* is
the first call in a fresh process, imports and compilation included; *kept programs*: where an earlier process has left
its compiled programs in JAX's cache, as the command line tool does. *Warm* is the best of several later calls; peers
whose first call takes more than {patience:.0f} s are called once. *Ratio* compares like with like: warm calls, or,
where a program has none, its first call with the first call of psymetric, which compiles. *Processor s* adds up all
cores: on a busy machine wall seconds exceed what an idle one would show, and processor seconds do not. What matters is
the ratio: absolute times are those of one machine on one day ({machine}; load average at the end {load:.1f}, so that
the cores were {shared}).

Samplers are compared by effective draws per second instead.

Written by `make bench`, which fails where the optima differ or a target is missed. `mirt` keeps all cores busy and
suffers more than psymetric where others want them: on a busy machine the ratio is several times higher than on an idle
one.
"""


def main() -> None:
    sections: list[str] = []
    missed: list[str] = []
    for benchmark in BENCHMARKS:
        for section in benchmark.run():
            missed += [f"{section.title}: {what}" for what in section.missed]
            sections.append(f"## {section.title}\n\n{section.text}\n")
            print(sections[-1], flush=True)
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    machine = f"{cores} cores, {platform.machine()}, Python {platform.python_version()}"
    shared = "shared with other work" if load > cores else "free"
    PAGE.write_text(
        "\n".join([HEAD.format(patience=PATIENCE, machine=machine, load=load, shared=shared), *sections]),
        encoding="utf-8",
    )
    print(f"wrote {PAGE.name}")
    if missed:
        raise SystemExit(f"targets missed: {missed}")


if __name__ == "__main__":
    main()
