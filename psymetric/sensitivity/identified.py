"""What judges' scores alone tell of candidates, before any fit: identified means, differences and orders.

Candidate c has true-level probabilities π[c], judge j the matrix θ[j] of its labels given the true level; observed are
margins γ[j, c] = π[c] θ[j]. Other candidates and judges may give the same margins. The identified set of a difference
of true means is all its values over them: no amount of scores narrows it, only assumptions do.

Source: the model is that of Vossler, Xia, Mai, Subbaswamy & Feng (2025), arXiv 2505.21972; identified sets as in Manski
(2003), Partial Identification of Probability Distributions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from psymetric.data.coding import Label
from psymetric.data.messages import listing, nearest
from psymetric.data.responses import ResponseTable
from psymetric.errors import DataError, IdentificationError
from psymetric.sensitivity.identified_assumptions import JudgeAssumptions, judge_limits
from psymetric.sensitivity.identified_frames import range_frames, sentences
from psymetric.sensitivity.identified_margins import JudgeMargins, judge_margins, simultaneous_bands
from psymetric.sensitivity.identified_problem import World, WorldProblem, spanned
from psymetric.sensitivity.identified_rank import FibreDimension, fibre_dimension
from psymetric.sensitivity.identified_search import Effort, find_ranges, reached_points

__all__ = ["IdentifiedSet", "JudgeWorld", "identified_set"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JudgeWorld:
    """One way the candidates and judges may be, which reproduces what is observed.

    Attributes:
        truth: Probability of each true level: a row per candidate.
        judges: Judge -> probability of each label, a row per true level.
        means: True mean of each candidate.
    """

    truth: pd.DataFrame
    judges: dict[Label, pd.DataFrame]
    means: pd.Series[float]


@dataclass(frozen=True, eq=False)
class IdentifiedSet:
    """What the margins of judges leave open.

    Attributes:
        means: One row per candidate: `candidate`; `lower` and `upper`, the least and greatest true mean for which a
            world was found; `lower_outer` and `upper_outer`, which no world exceeds; `identified`: `"point"`, `"no"`,
            or `"undecided"` (the search left it open).
        differences: One row per pair: `first`, `second`; the same four numbers for the true mean of the first less
            that of the second; `identified`: `"point"`, `"sign"` (one is above in every world), `"weak"` (one is
            nowhere below), `"no"` (worlds of both orders were found) or `"undecided"`; `order` in words.
        method: `"exact"`; `"certified"`: global search, outer less inner is the gap left; `"inner"`: local search
            alone, outer ends are those of the scale.
        dimension: Parameters, rank and dimension of the set of worlds.
        assumptions: What was assumed.
        observed: The margins.
        values: Score of each true level.
        margins: `"exact"` or `"bands"`.
        level: Simultaneous confidence of the bands, None where margins are exact.
    """

    means: pd.DataFrame
    differences: pd.DataFrame
    method: str
    dimension: FibreDimension
    assumptions: JudgeAssumptions
    observed: JudgeMargins
    values: Numbers
    margins: str
    level: float | None
    _worlds: tuple[tuple[World, World], ...]
    _problem: WorldProblem

    def world(self, first: Label, second: Label | None = None, *, end: Literal["lower", "upper"]) -> JudgeWorld:
        """The world found at one end of a range: of a difference, or of one candidate's mean.

        Args:
            first: A candidate.
            second: The one it is compared with; None for its mean.
            end: `"lower"` or `"upper"` end of the first less the second.

        Raises:
            DataError: An unknown candidate or end, or a candidate compared with itself.
        """
        names = self.observed.candidates
        for each in (first, second):
            if each is not None and each not in names:
                raise DataError(f"IdentifiedSet.world: no candidate {each!r}; {nearest(each, names)}")
        if end not in ("lower", "upper") or first == second:
            raise DataError(
                f"IdentifiedSet.world: end={end!r} of {first!r} and {second!r}; name two, and lower or upper"
            )
        place, turned = names.index(first), False
        if second is not None:
            pairs = list(combinations(range(len(names)), 2))
            one, two = names.index(first), names.index(second)
            turned = one > two
            place = len(names) + pairs.index((min(one, two), max(one, two)))
        found = self._worlds[place][(end == "upper") != turned]
        levels = pd.Index(self.values, name="true level")
        judged = {
            judge: pd.DataFrame(matrix, index=levels, columns=list(self.observed.labels))
            for judge, matrix in zip(self.observed.judges, found.judges, strict=True)
        }
        candidates = pd.Index(names, name="candidate")
        truth = pd.DataFrame(found.truth, index=candidates, columns=levels)
        return JudgeWorld(truth, judged, pd.Series(found.truth @ self.values, index=candidates, name="true mean"))

    def region(self, candidate: Label, *, directions: int = 24) -> Numbers:
        """What one candidate's true-level probabilities may be: the furthest points that worlds were found for.

        Args:
            candidate: Its name.
            directions: In how many directions to search.

        Returns:
            Shape (directions, levels). Their convex hull is an inner bound of the convex hull of all that is possible.

        Raises:
            DataError: An unknown candidate.
        """
        names = self.observed.candidates
        if candidate not in names:
            raise DataError(f"IdentifiedSet.region: no candidate {candidate!r}; {nearest(candidate, names)}")
        worlds = [world for ends in self._worlds for world in ends]
        return reached_points(self._problem, worlds, names.index(candidate), directions=directions)

    def summary(self) -> list[str]:
        """One sentence for each pair of candidates."""
        return sentences(self.differences, self.method)

    def describe(self) -> str:
        """What was assumed, how open it leaves things, and a sentence for each pair."""
        how = {
            "exact": "Ranges are exact.",
            "certified": "Ranges are from a global search: no world lies beyond the outer ends.",
            "inner": "Ranges are from local search: they may be wider, never narrower.",
        }[self.method]
        shares = "exact" if self.level is None else f"known within bands that hold at once with {self.level:.0%}"
        first = f"Margins are taken as {shares}. Assumed of judges: {self.assumptions.describe()}."
        return " ".join([first, self.dimension.describe(), how, *self.summary()])


def identified_set(
    observed: ResponseTable | JudgeMargins,
    *,
    candidate: str = "subject",
    judge: str | None = "judge",
    values: Sequence[float] | None = None,
    assumptions: JudgeAssumptions | None = None,
    margins: Literal["exact", "bands"] | None = None,
    level: float = 0.95,
    gap: float = 0.01,
    boxes: int = 400,
    starts: int = 4,
    seed: int = 0,
) -> IdentifiedSet:
    """The range of every true mean and difference over all candidates and judges that reproduce the judges' margins.

    Two true levels and exact margins have a closed form. Otherwise local searches find worlds far apart, which are
    proof that the range is at least as wide, and a branch and bound search proves how wide it is at most (up to the
    tolerance of linear programming, 1e-7); where products of candidates, judges, levels and labels are more than some
    thousand, there is the first part alone, and `method` says so.

    Args:
        observed: Labels of judges, or their margins.
        candidate: Facet of a table whose levels are compared.
        judge: Facet of a table whose levels judge; None takes all labels as one judge's.
        values: Score of each true level, ascending; their number is that of the true levels. By default the labels
            themselves where they are numbers, else 0, 1, ….
        assumptions: What is assumed of every judge; by default nothing but that it treats candidates alike.
        margins: `"exact"` takes the shares as they are. `"bands"` allows every share its interval of a set that holds
            at once with probability `level` (Clopper-Pearson, Bonferroni): ranges then cover the true identified set
            with that probability at least. By default bands where there are counts.
        level: Of the bands, in (0, 1).
        gap: Distance between attained and certified ends at which their search stops, as a share of the range of
            values.
        boxes: Linear programmes at most for each certified end; 0 for inner ends alone.
        starts: Local searches for each end.
        seed: Of their random starts.

    Raises:
        DataError: Values that do not ascend, bands without counts, settings out of range, or a facet that is not there.
        IdentificationError: No world reproduces the margins under the assumptions, or none was found.
    """
    found = (
        observed if isinstance(observed, JudgeMargins) else judge_margins(observed, candidate=candidate, judge=judge)
    )
    scores, assumed = _scores(values, found.labels), assumptions or JudgeAssumptions()
    if not (0 < level < 1 and gap >= 0 and boxes >= 0 and starts >= 1):
        raise DataError(
            f"identified_set: level={level}, gap={gap}, boxes={boxes}, starts={starts}; level is between 0 and 1, "
            "gap and boxes are 0 or more, starts 1 or more"
        )
    kind = margins or ("exact" if found.counts is None else "bands")
    problem, exact = _problem(found, assumed, len(scores), kind=kind, level=level)
    ranges = find_ranges(
        problem,
        _targets((scores - scores[0]) / np.ptp(scores), len(found.candidates)),
        Effort(gap=gap, boxes=boxes, starts=starts, seed=seed),
        exact_margins=exact,
        refusal=_refusal(assumed, kind),
    )
    means, differences = range_frames(ranges.attained, ranges.bound, found.candidates, scores)
    limits = problem.limits
    dimension = fibre_dimension(
        np.isfinite(found.shares[:, :, 0]),
        n_levels=len(scores),
        n_labels=len(found.labels),
        known=(limits.floor == limits.ceiling).all(axis=(1, 2)),
    )
    return IdentifiedSet(
        means,
        differences,
        ranges.method,
        dimension,
        assumed,
        found,
        scores,
        kind,
        level if kind == "bands" else None,
        ranges.worlds,
        problem,
    )


def _refusal(assumptions: JudgeAssumptions, kind: str) -> str:
    mend = ' Sampled shares are not exact: take margins="bands", with counts,' if kind == "exact" else " Assume less,"
    return (
        f"identified_set: no candidates and judges were found that reproduce the margins under what is assumed "
        f"({assumptions.describe()}).{mend} or allow more true levels, or let the judge differ between candidates"
    )


def _scores(values: Sequence[float] | None, labels: tuple[Label, ...]) -> Numbers:
    if values is None:
        numeric = all(isinstance(label, int | float) for label in labels)
        values = [float(label) for label in labels] if numeric else list(range(len(labels)))
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) < 2 or not np.isfinite(scores).all() or (np.diff(scores) <= 0).any():
        raise DataError(f"identified_set: values={listing(list(values))} are not two or more numbers that ascend")
    return scores


def _problem(
    observed: JudgeMargins, assumptions: JudgeAssumptions, n_levels: int, *, kind: str, level: float
) -> tuple[WorldProblem, bool]:
    """What a world must satisfy, and whether margins are exact and complete."""
    n_judges, n_candidates, n_labels = observed.shares.shape
    limits = judge_limits(assumptions, judges=observed.judges, n_levels=n_levels, n_labels=n_labels)
    nothing = (np.zeros((0, n_candidates)), np.zeros((0, n_judges * n_labels)), np.zeros(0))
    if kind == "bands":
        if observed.counts is None:
            raise DataError(
                'identified_set: margins="bands" takes counts; JudgeMargins.from_counts, or margins="exact"'
            )
        return WorldProblem(*simultaneous_bands(observed.counts, level=level), limits, *nothing), False
    if kind != "exact":
        raise DataError(f'identified_set: margins={kind!r} is neither "exact" nor "bands"')
    if (unmet := np.isnan(observed.shares)).any():
        lower, upper = np.where(unmet, 0.0, observed.shares), np.where(unmet, 1.0, observed.shares)
        return WorldProblem(lower, upper, limits, *nothing), False
    rank, implied = spanned(observed.shares, n_levels)
    if rank > n_levels:
        raise IdentificationError(
            f"identified_set: the margins have rank {rank}, and {n_levels} true levels give {n_levels} at most, "
            'whatever the judges are. Sampled shares are not exact: take margins="bands", with counts, or more levels'
        )
    return WorldProblem(observed.shares, observed.shares, limits, *implied), True


def _targets(scores: Numbers, n_candidates: int) -> Numbers:
    """Every mean, then every difference, shape (targets, candidates, levels)."""
    means = np.einsum("cd,m->cdm", np.eye(n_candidates), scores)
    pairs = [means[one] - means[two] for one, two in combinations(range(n_candidates), 2)]
    return np.concatenate([means, np.array(pairs).reshape(-1, *means.shape[1:])])
