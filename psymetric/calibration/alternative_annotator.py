"""May a judge replace a person? The alternative annotator test of Calderon, Reichart and Dror."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from psymetric.calibration.advantage import (
    Advantage,
    Metric,
    Test,
    category_distances,
    probabilities,
    redrawn_wins,
    smallest_epsilon,
    won,
)
from psymetric.calibration.panels import Panel, check_level, panel_of
from psymetric.calibration.replacements import Replacements, compared, families
from psymetric.data.coding import Label
from psymetric.data.messages import counted, listing
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError

__all__ = ["AlternativeAnnotatorTest", "alternative_annotator_test"]

Array = NDArray[np.float64]

_WHO = "alternative_annotator_test"
_FEW = 30
"""Units from which Student's t may be trusted on these indicators (Calderon et al., section 3)."""
_LARGEST_EXACT = 200
"""Units up to which every outcome of an exact test is gone through."""
_MANY_TIES = 10
"""Units that one of the two won, below which Student's t rejects too often."""
_PASS = 0.5


@final
@dataclass(frozen=True, repr=False)
class AlternativeAnnotatorTest:
    """Judges against each person they would replace.

    Attributes:
        frame: One row per group and judge: group (None for all units), judge, n_people, n_units, omega (winning rate:
            share of people against whom the judge wins) with omega_lower and omega_upper, passes (omega ≥ .5), p_pass
            (how often a new sample of as many subjects would pass, were these the true shares), rho (mean share of
            units where the judge is as close to the other people as the left-out person, or closer) with rho_lower and
            rho_upper, epsilon_needed (the least epsilon that passes; NaN where none does).
        people: One row per group, judge and person: n_units, n_subjects, judge_share and person_share (units in which
            the one was as close as the other, or closer), difference (person − judge) with se, lower and upper, p
            (one-sided, of a difference of epsilon or more), p_adjusted and wins.
        epsilon: What the judge is spared for being cheaper.
        metric: How labels differ.
        test: "t" or "exact".
        rate: False discovery rate.
        level: Coverage of the intervals.
        notes: What a reader should know, as sentences.
    """

    frame: pd.DataFrame
    people: pd.DataFrame
    epsilon: float
    metric: Metric
    test: Test
    rate: float
    level: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"  {'' if row['group'] is None else str(row['group']) + ': '}{row['judge']}: "
            f"{'passes' if row['passes'] else 'does not pass'}, wins against {row['omega']:.0%} of "
            f"{counted(int(row['n_people']), 'person', 'people')}; rho {row['rho']:.2f} "
            f"[{row['rho_lower']:.2f}, {row['rho_upper']:.2f}]"
            for _, row in self.frame.iterrows()
        ]
        title = f"alternative annotator test, {self.metric} labels, epsilon {self.epsilon:g}"
        return "\n".join([title, *lines, *(f"  note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def alternative_annotator_test(
    table: ResponseTable,
    tested: Label | Sequence[Label],
    *,
    people: Sequence[Label] | None = None,
    judge: str = "judge",
    unit: Sequence[str] | None = None,
    by: str | None = None,
    metric: Metric = "nominal",
    epsilon: float = 0.1,
    test: Test = "t",
    rate: float = 0.05,
    min_units: int = _FEW,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> AlternativeAnnotatorTest:
    r"""Test whether a judge may stand in for a person, by who is closer to the other people.

    Each person j is left out in turn. On unit i the judge f and the person are compared by how near each is to the
    remaining people who labelled i, $W^f_{ij}$ being 1 where the judge is as near or nearer, $W^h_{ij}$ where the
    person is; both are 1 in a tie. With $\rho$ the means over units, the judge wins against person j if

    $$H_{0j}: \rho^h_j - \rho^f_j \ge \varepsilon$$

    is rejected at the false discovery rate (Benjamini and Yekutieli, as the people's tests depend on one another).
    The winning rate is $\omega$, the share of people won against; the judge passes with $\omega \ge 1/2$. The mean of
    $\rho^f_j$ is the average advantage probability $\rho$, which compares judges with one another.

    | metric | near to the remaining people means | for |
    |---|---|---|
    | "nominal" | the share of them who gave the same label (accuracy of the paper) | kinds, yes and no |
    | "ordinal" | minus the mean number of categories between | ratings whose steps are not equal |
    | "interval" | minus the root mean squared difference of the labels' numbers (RMSE of the paper) | numbers |

    epsilon is what one concedes to the judge for being cheaper, and has to be chosen before looking: the authors
    advise .2 where people are experts, .15 where they are trained, .1 for crowds. At .1 the judge must be nearer than
    it need be elsewhere, which is why it is the default.

    Units that fewer than two people labelled, or that the judge did not, are left out of its comparisons; a person may
    miss any of them. Units of one subject are one cluster: standard errors are over subjects. People are taken as
    given: nothing is said of other people.

    Args:
        table: Labels of people and judges, told apart by one facet.
        tested: Level or levels of that facet to test, each by itself. Among several the best should be named by `rho`
            on other data than it is tested on.
        people: Levels that are people; by default all that are not tested. Two are possible, three or more advised: of
            two nobody can say who is the odd one out.
        judge: The facet.
        unit: Facets that tell one thing from another; by default subject and item.
        by: Also test within each level of this facet. The people of all levels are then one family of tests.
        metric: How near one label is to another, above.
        epsilon: In (-1, 1); 0 asks for a judge that is better than the person.
        test: "t" (the paper's), or "exact" for up to 200 units, one per subject: the score test, its probability taken
            at the worst of all laws. Student's t rejects too often where nearly all comparisons are ties (.063 for
            .05 where the judge wins a unit in twenty of 50, .108 where it wins none); a note says so.
        rate: False discovery rate, in (0, 1).
        min_units: People who share fewer units with the judge and others are not tested, but still count among the
            others.
        level: Coverage of the intervals, in (0, 1).
        draws: New samples for the intervals of omega and for p_pass.
        seed: Of these samples.

    Returns:
        Frames of judges and of people. Intervals of rho and of differences: Student's t over subjects. Interval of
        omega: percentiles of new samples, drawn around the differences found.

    Raises:
        DataError: Fewer than two people, a judge that is one of them or meets none of them, no such facet or level, a
            label given twice, nobody with enough units, or settings out of range.

    Source: Calderon, Reichart & Dror (2025), The Alternative Annotator Test for LLM-as-a-Judge, ACL 2025 (arXiv
    2501.10970), section 3; several domains as in its questions and answers.
    """
    _check(epsilon, rate, min_units)
    check_level(level, draws, who=_WHO)
    panel = panel_of(table, tested, people=people, judge=judge, unit=unit, by=by, who=_WHO)
    distances = category_distances(panel.values, metric)
    frames: list[pd.DataFrame] = []
    tests: list[pd.DataFrame] = []
    notes: list[str] = []
    for rows in panel.judges:
        against = compared(panel, rows, judge, distances, who=_WHO)
        for group, groups in families(panel):
            columns = Replacements.build(panel, against, group, groups, min_units, who=_WHO)
            if test == "exact":
                _check_exact(columns.found)
            notes += _notes(columns, panel, rows.label, by, min_units, test)
            p = probabilities(columns.found, epsilon, test)
            adjusted, wins = won(p, rate)
            tests.append(_people_frame(columns, panel, rows.label, p, adjusted, wins, level))
            again = redrawn_wins(columns.found, epsilon, rate, draws=draws, rng=np.random.default_rng(seed))
            frames.append(_judge_frame(columns, rows.label, wins, again, test, rate, level))
    frame, by_person = pd.concat(frames, ignore_index=True), pd.concat(tests, ignore_index=True)
    if len(panel.people) == 2:
        notes.append("with two people nobody can say who is the odd one out; three or more are advised")
    return AlternativeAnnotatorTest(frame, by_person, epsilon, metric, test, rate, level, tuple(dict.fromkeys(notes)))


def _check(epsilon: float, rate: float, min_units: int) -> None:
    if not -1 < epsilon < 1:
        raise DataError(f"{_WHO}: epsilon={epsilon} is not a difference of shares between -1 and 1, such as 0.1")
    if not 0 < rate < 1:
        raise DataError(f"{_WHO}: rate={rate} is not a false discovery rate between 0 and 1, such as 0.05")
    if min_units < 2:
        raise DataError(f"{_WHO}: min_units={min_units}; a person needs at least 2 units for a standard error")


def _check_exact(found: Advantage) -> None:
    if np.any(found.n_units != found.n_subjects) or found.n_units.max() > _LARGEST_EXACT:
        raise DataError(
            f"{_WHO}: test='exact' takes units for independent, and at most {_LARGEST_EXACT:,} of them; got "
            f"{int(found.n_units.max()):,} units of {int(found.n_subjects.max()):,} subjects; use test='t'."
        )


def _people_frame(
    columns: Replacements,
    panel: Panel,
    label: Label,
    p: Array,
    adjusted: Array,
    wins: NDArray[np.bool_],
    level: float,
) -> pd.DataFrame:
    found = columns.found
    half = stdtrit(found.n_subjects - 1, (1 + level) / 2) * found.se
    return pd.DataFrame(
        {
            "group": pd.Series([columns.groups[place] for place in columns.group], dtype=object),
            "judge": label,
            "person": [panel.people[place] for place in columns.person],
            "n_units": found.n_units,
            "n_subjects": found.n_subjects,
            "judge_share": found.judge,
            "person_share": found.person,
            "difference": found.gap,
            "se": found.se,
            "lower": np.maximum(found.gap - half, -1.0),
            "upper": np.minimum(found.gap + half, 1.0),
            "p": p,
            "p_adjusted": adjusted,
            "wins": wins,
        }
    )


def _judge_frame(
    columns: Replacements,
    label: Label,
    wins: NDArray[np.bool_],
    again: NDArray[np.bool_],
    test: Test,
    rate: float,
    level: float,
) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    found = columns.found
    for place in np.unique(columns.group):
        own = columns.group == place
        omega, redrawn = float(wins[own].mean()), again[:, own].mean(axis=1)
        lower, upper = np.quantile(redrawn, [(1 - level) / 2, (1 + level) / 2])
        rho = float(found.judge[own].mean())
        influence = found.judge_influence[:, own].mean(axis=1)
        half = stdtrit(found.n_subjects[own].max() - 1, (1 + level) / 2) * float(np.sqrt(np.sum(influence**2)))
        rows.append(
            {
                "group": columns.groups[place],
                "judge": label,
                "n_people": int(own.sum()),
                "n_units": int(columns.n_units[place]),
                "omega": omega,
                "omega_lower": float(lower),
                "omega_upper": float(upper),
                "passes": omega >= _PASS,
                "p_pass": float(np.mean(redrawn >= _PASS)),
                "rho": rho,
                "rho_lower": max(rho - half, 0.0),
                "rho_upper": min(rho + half, 1.0),
                "epsilon_needed": smallest_epsilon(found, own, test, rate),
            }
        )
    return pd.DataFrame(rows).astype({"group": object})


def _notes(
    columns: Replacements, panel: Panel, label: Label, by: str | None, min_units: int, test: Test
) -> Iterator[str]:
    """Who was not tested, and where the t test is stretched."""
    for place in range(len(columns.groups)):
        short = [person for group, person in columns.left_out if group == columns.groups[place]]
        about = "" if columns.groups[place] is None else f"{by} {columns.groups[place]!r}: "
        if len(short) == len(panel.people):
            yield f"{about}{label!r} is not tested there: nobody has {min_units} units with it and another person"
        elif short:
            yield (
                f"{about}{listing(short)} not replaced by {label!r}: fewer than {min_units} units with it and another "
                "person; they still count among the others"
            )
    few = columns.found.n_subjects < _FEW
    if few.any() and test == "t":
        yield (
            f"{label!r}: {counted(int(few.sum()), 'test')} on fewer than {_FEW} subjects, where Student's t is rough; "
            "test='exact' holds its level"
        )
    tied = (columns.found.n_units * (2 - columns.found.judge - columns.found.person) < _MANY_TIES) & ~few
    if tied.any() and test == "t":
        yield (
            f"{label!r}: in {counted(int(tied.sum()), 'test')} fewer than {_MANY_TIES} units were won by either side, "
            "where Student's t rejects too often; test='exact' holds its level"
        )
    flat = columns.found.se == 0
    if flat.any() and test == "t":
        yield (
            f"{label!r}: every subject says the same in {counted(int(flat.sum()), 'test')}, which have no "
            "standard error: their p is the chance of that at most"
        )
