"""The table of oracles: what tests compare with published numbers and other programs, and what none does, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

_NAGQ = "Laplace's method over crossed effects; the same data with subjects integrated out exactly are held above"
NOT_HELD = {
    "BradleyTerry2/flatlizards_br": "bias-reduced (Firth): not offered, and its graph is refused",
    "BradleyTerry2/flatlizards_random": "PQL with restricted equations: held to a fraction of the errors",
    "TAM/raschdat1_immer_jml_epsadj": "ε-adjusted joint likelihood (immer), an estimator that psymetric does not offer",
    "TAM/ratings1_sirt_rmfacets_b_a*": "another model: its slopes multiply θ alone, ours θ minus severity and steps",
    "TAM/data_gpcm_jml_biasTRUE": "(I − 1)/I times the fit without, whose likelihood is held; held on raschdat1",
    "mirt/LSAT7_3PL": "mirt stopped at 20,000 cycles; here an error says that the data do not determine it (tested)",
    "lme4/ex10_item_rater_laplace": _NAGQ,
    "lme4/ex10_rater_random_laplace": _NAGQ,
    "mirt/Science_grsm": "graded rating scale model: not in psymetric",
    "README I1 intervals, I3 Louis errors": "of fits stopped short (Future: slope 2.296, 2.301 at the maximum); "
    "those of the converged fits, mirt/LSAT7_2PL and mirt/Science_graded, are held to .2%",
    "README I1 reliability of summed scores": "of mirt's EAPsum table, whose measures and errors are held",
    "README O1 lsr, rank centrality, O9 Elo": "other estimators than maximum likelihood",
    "README O20": "accuracies on data sets that are not at hand",
    "variance_components.json": "crossed random effects of normal responses: generalisability studies, later work",
    "timing of 2PL, CML, many-facet fits": "time and log-likelihood are compared in one run by `make bench`",
}
"""Oracle, or pattern of names, and why no test holds it."""


@dataclass(frozen=True)
class Comparison:
    """Numbers of an oracle beside ours; of several, the pair that is furthest apart for its tolerance."""

    oracle: str
    what: str
    n: int
    theirs: float
    ours: float
    tolerance: str
    test: str


def compare(
    oracle: str, what: str, ours: ArrayLike, theirs: ArrayLike, *, atol: float = 0.0, rtol: float = 0.0, test: str
) -> Comparison:
    """Assert that the numbers agree, and keep the worst pair."""
    np.testing.assert_allclose(np.asarray(ours, float), np.asarray(theirs, float), atol=atol, rtol=rtol, err_msg=what)
    theirs = np.asarray(theirs, float).ravel()
    ours = np.broadcast_to(np.asarray(ours, float).ravel(), theirs.shape)
    known = np.isfinite(theirs)
    ours, theirs = ours[known], theirs[known]
    allowed = atol + rtol * np.abs(theirs)
    worst = int(np.argmax(np.abs(ours - theirs) / np.where(allowed > 0, allowed, 1)))
    parts = [f"{atol:.1g}"] * (atol > 0) + [f"{rtol:.1g} of it"] * (rtol > 0)
    tolerance = " + ".join(parts) or "equal"
    return Comparison(oracle, what, len(theirs), float(theirs[worst]), float(ours[worst]), tolerance, test)


def not_held(names: Iterable[str], held: Iterable[str]) -> list[str]:
    """Oracles that no test holds and that have no reason either."""
    held = set(held)
    return [name for name in names if name not in held and not any(fnmatch(name, pattern) for pattern in NOT_HELD)]


def oracle_files(folder: Path) -> list[str]:
    """Names of the reference fits, "program/fit"."""
    return sorted(path.relative_to(folder / "fits").with_suffix("").as_posix() for path in folder.glob("fits/*/*.json"))


def page(rows: Sequence[Comparison]) -> str:
    """The page of docs/validation."""
    programs = dict.fromkeys(row.oracle.split("/")[0].split(",")[0] for row in sorted(rows, key=lambda row: row.oracle))
    parts = [_HEAD.format(numbers=sum(row.n for row in rows), oracles=len({row.oracle for row in rows}))]
    for program in programs:
        mine = [row for row in rows if row.oracle.split("/")[0].split(",")[0] == program]
        lines = [_line(row) for row in sorted(mine, key=lambda row: row.oracle)]
        parts.append(f"## {program}\n\n{_COLUMNS}\n" + "\n".join(lines))
    reasons = "\n".join(f"| {name} | {reason} |" for name, reason in NOT_HELD.items())
    parts.append(f"## Not held by a test\n\n| oracle | reason |\n| --- | --- |\n{reasons}")
    return "\n\n".join(parts) + "\n"


_HEAD = """# Oracles

Numbers of other programs and of printed examples beside ours: {numbers} numbers of {oracles} oracles. Written by
`make validate` from the comparisons that the tests make. *n* numbers are compared; the pair shown is the one
furthest apart for its tolerance. Signs and origins are converted beside the numbers in the tests."""
_COLUMNS = "| oracle | what | n | theirs | ours | difference | tolerance | test |\n" + "| --- " * 8 + "|"


def _line(row: Comparison) -> str:
    numbers = (f"{row.theirs:.9g}", f"{row.ours:.9g}", f"{abs(row.ours - row.theirs):.0e}")
    return f"| {' | '.join((row.oracle, row.what, str(row.n), *numbers, row.tolerance, row.test))} |"
