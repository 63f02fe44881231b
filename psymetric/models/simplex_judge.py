"""The simplex judge: what candidates are worth by judges whose errors are known only as far as a prior says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.core.ordered_rows import OrderedRows, RowOrder
from psymetric.core.parameters import Block
from psymetric.core.tilts import Tilts
from psymetric.data.messages import counted, listing
from psymetric.errors import DataError, DesignError
from psymetric.models.base import ParamSpec, Table
from psymetric.models.checks import check_prior_sd
from psymetric.models.dawid_skene import CONFUSION
from psymetric.models.truth import CATEGORY, PREVALENCE, TRUTH, AbstractTruthModel, check_positive, check_share

__all__ = ["PREFERENCE", "SELF_PREFERENCE", "SimplexJudge"]

PREFERENCE, SELF_PREFERENCE = "preference", "self_preference"

_UNIDENTIFIED = 3
"""Levels from which judges of counts identify no order."""
_SHARED = 2
_ENOUGH = 30
"""Answers with two labels or gold, by fewer of which no judge's matrix is known."""
_OWN = ((False, True), (0, 1), ("no", "yes"))


@final
@dataclass(frozen=True)
class SimplexJudge(AbstractTruthModel):
    r"""Judges and candidates as points on a simplex: no gold is needed, and what the prior decides is said.

    An answer of candidate c is of level m with probability $\pi_{c,m}$, and judge j then gives label k with
    probability $\theta_{j,m,k}$. The labels of judge j on answers of c follow the mixture

    $$\gamma_{c,j,k} = \sum_m \pi_{c,m}\,\theta_{j,m,k}$$

    With two levels and judges better than chance the order of the candidates is that of their labels. With three or
    more it is not, however many labels there are: other judge matrices and other candidates give the same γ. The prior
    then decides, which `prior_sensitivity` measures and `identified_set` bounds.

    Parameters:

    * `prevalence` π, shape (candidates, truths), or (candidates, strata, truths);
    * `confusion` θ, shape (judges, truths, categories), or (judges, strata, truths, categories);
    * `preference` u, shape (candidates, judges, categories), logits that sum to zero over the categories, with
      `candidate_sd`: the judge's rows for this candidate are $\theta_{j,m,k}\,e^{u_{c,j,k}}$, made to sum to one;
    * `self_preference`, shape (judges,): logits from the lowest to the highest label by which a judge favours
      candidates of its own family.

    A subject of the table is an answer, of the candidate in the column `candidate`; labels of several judges on one
    answer share its truth. Without `candidate` the subject is the candidate itself, and rows are counts: every label is
    of another answer, and a row of weight w stands for w of them.

    Args:
        over: The facet whose levels are judges.
        gold: The level of that facet whose labels are the truth of the answers it labelled; needs `candidate`.
        groups: Not used: the groups are the candidates.
        prior_subjects: What the Dirichlet prior of a candidate's π is worth in answers, evenly spread over the levels.
        candidate: Column of the candidate that an answer is of.
        quality: λ, the prior mean of what a judge knows: rows are centred at λ on the truth and 1 - λ on `background`.
        prior_labels: κ, what the Dirichlet prior of each row is worth in labels.
        background: b, where a judge that does not know puts its labels, one share per category; by default evenly.
        strata: Column, such as difficulty, whose levels have a π of each candidate and matrices of each judge of their
            own, so that judges need treat candidates alike within a stratum only.
        order: What is known of the rows: "none"; "lowest", the lowest label becomes less likely as the truth rises;
            "stochastic", so do all labels up to any category.
        candidate_sd: ω, the sd in logits of `preference`; 0 is constancy, judges that treat all candidates alike.
        self_preference: Column that says whether judge and candidate are of one family: truth values, 0 and 1, or
            "no" and "yes".
        self_preference_sd: Scale of the normal prior on the self-preference.

    Raises:
        DesignError: Priors of no positive size, shares that are none, columns that are one, an unknown order, gold
            without `candidate`.

    Source: Vossler, Xia, Mai, Subbaswamy & Feng (2025), arXiv 2505.21972. The effect of a candidate is common to the
    rows of a judge here.
    """

    prior_subjects: float = 4.0
    candidate: str | None = None
    quality: float = 0.6
    prior_labels: float = 5.0
    background: tuple[float, ...] | None = None
    strata: str | None = None
    order: RowOrder = "none"
    candidate_sd: float = 0.0
    self_preference: str | None = None
    self_preference_sd: float = 1.0

    def __post_init__(self) -> None:
        if self.groups is not None:
            raise DesignError(f"SimplexJudge(groups={self.groups!r}): its groups are the candidates, candidate=...")
        AbstractTruthModel.__post_init__(self)
        check_share(self, self.quality, name="quality")
        check_positive(self, self.prior_labels, name="prior_labels", unit="labels")
        check_prior_sd(self, self.self_preference_sd, name="self_preference_sd")
        if self.candidate_sd != 0:
            check_prior_sd(self, self.candidate_sd, name="candidate_sd")
        if self.order not in get_args(RowOrder):
            raise DesignError(f"SimplexJudge(order={self.order!r}) must be one of {[*get_args(RowOrder)]}")
        columns = [name for name in (self.over, self.candidate, self.strata, self.self_preference) if name is not None]
        if len({*columns, "subject"}) <= len(columns):
            raise DesignError(f"SimplexJudge: columns {columns} must differ from one another and from 'subject'")
        if self.gold is not None and self.candidate is None:
            raise DesignError(
                f"SimplexJudge(gold={self.gold!r}): gold is the truth of an answer, and counts do not say which: give "
                "answers as subjects and the column of their candidates, candidate=..."
            )
        self._check_background()

    def _check_background(self) -> None:
        given: Any = self.background
        if given is None:
            return
        shares = np.asarray(given, np.float64)
        if shares.ndim != 1 or not np.all(shares > 0) or abs(shares.sum() - 1) > 1e-6:
            raise DesignError(f"SimplexJudge(background={given!r}) must be shares above zero that sum to one")
        object.__setattr__(self, "background", tuple(float(share) for share in shares))

    @property
    def of_counts(self) -> bool:
        """Whether rows are counts of labels, each of another answer."""
        return self.candidate is None

    @property
    def candidate_axis(self) -> str:
        """The column whose levels are candidates."""
        return self.candidate or "subject"

    @property
    @override
    def needs_prior(self) -> bool:
        return True

    @property
    def _strata(self) -> tuple[str, ...]:
        return () if self.strata is None else (self.strata,)

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        own = (self.candidate, self.strata, self.self_preference)
        return (self.over, *(name for name in own if name is not None))

    @property
    @override
    def cell_columns(self) -> tuple[str, ...]:
        return (*self.facets, "subject") if self.of_counts else self.facets

    @property
    @override
    def subject_columns(self) -> tuple[str, ...]:
        return () if self.candidate is None else (self.candidate, *self._strata)

    @property
    @override
    def parameters(self) -> tuple[ParamSpec, ...]:
        found = [
            ParamSpec(PREVALENCE, (self.candidate_axis, *self._strata, TRUTH), support="simplex", unit="share"),
            ParamSpec(CONFUSION, (self.over, *self._strata, TRUTH, CATEGORY), support="simplex", unit="share"),
        ]
        if self.candidate_sd:
            axes = (self.candidate_axis, self.over, CATEGORY)
            found.append(ParamSpec(PREFERENCE, axes, prior_sd=self.candidate_sd, unit="log-odds"))
        if self.self_preference is not None:
            spec = ParamSpec(SELF_PREFERENCE, (self.over,), prior_sd=self.self_preference_sd, unit="log-odds")
            found.append(spec)
        return tuple(found)

    @override
    def prior_counts(self, name: str, n_categories: int) -> NDArray[np.float64]:
        if name == PREVALENCE:
            return AbstractTruthModel.prior_counts(self, name, n_categories)
        background = np.full(n_categories, 1 / n_categories) if self.background is None else np.array(self.background)
        return self.prior_labels * (self.quality * np.eye(n_categories) + (1 - self.quality) * background)

    @override
    def blocks(self, spec: ParamSpec, table: Table) -> list[Block] | None:
        levels = self.levels(table)
        shape = tuple(len(levels[axis]) for axis in spec.axes)
        if spec.name == PREFERENCE:
            return [Block(PREFERENCE, Tilts(shape, jax.device_put(self.candidate_sd)), 1.0, labels=spec.axes)]
        if spec.support != "simplex":
            return AbstractTruthModel.blocks(self, spec, table)
        if spec.name != CONFUSION:
            return AbstractTruthModel.blocks(self, spec, table)
        counts = np.broadcast_to(self.prior_counts(CONFUSION, len(table.categories)), shape).copy()
        rows = OrderedRows.build(shape, self.order, counts)
        return [Block(CONFUSION, rows, spec.prior_sd, labels=spec.axes, dirichlet=jax.device_put(counts))]

    @override
    def label_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        """Log-probability of every category as a label under every truth, shape (rows, truths, categories).

        Of counts every label has a truth of its own, which is summed out here: the same under every truth.
        """
        strata = [codes[name] for name in self._strata]
        own = jnp.log(params[CONFUSION])[(codes[self.over], *strata)]
        if (tilt := self._tilt(params, codes, n_categories)) is not None:
            own = jax.nn.log_softmax(own + tilt[:, None, :], axis=2)
        if not self.of_counts:
            return own
        share = jnp.log(params[PREVALENCE])[(codes["subject"], *strata)]
        mixture = logsumexp(own + share[:, :, None], axis=1, keepdims=True)
        return jnp.broadcast_to(mixture, own.shape)

    def _tilt(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array | None:
        """Logits by which labels of a candidate are favoured whatever the truth, shape (rows, categories), or None."""
        tilt: Array | None = None
        if self.candidate_sd:
            tilt = params[PREFERENCE][codes[self.candidate_axis], codes[self.over]]
        if self.self_preference is not None:
            favour = params[SELF_PREFERENCE][codes[self.over]] * codes[self.self_preference]
            ladder = favour[:, None] * jnp.linspace(-0.5, 0.5, n_categories)
            tilt = ladder if tilt is None else tilt + ladder
        return tilt

    @override
    def truth_log_probs(self, params: Mapping[str, Array], subjects: Mapping[str, Array], n_categories: int) -> Array:
        if self.of_counts:
            return jnp.full((len(subjects["subject"]), n_categories), -np.log(n_categories))
        return jnp.log(params[PREVALENCE])[tuple(subjects[name] for name in self.subject_columns)]

    @override
    def notes(self, table: Table) -> tuple[str, ...]:
        n_levels, n_judges = len(table.categories), len(self.levels(table)[self.over])
        n_shared = 0 if self.of_counts else self._shared_answers(table)
        if n_levels < _UNIDENTIFIED or n_shared >= _ENOUGH:
            return ()
        shared = "no answer" if not n_shared else f"only {counted(n_shared, 'answer')}"
        return (
            f"the order of the candidates is driven by the prior: with {n_levels} levels, {counted(n_judges, 'judge')} "
            f"and {shared} that two of them or gold have labelled, other judges and other candidates explain the "
            "labels as well, however many there are. Run prior_sensitivity and identified_set before stating it",
        )

    def _shared_answers(self, table: Table) -> int:
        """Answers with gold and a label, or with labels of two judges that are no copies of each other."""
        subject, judge, response = (
            codes[table.weight > 0] for codes in (table.codes["subject"], table.codes[self.over], table.response)
        )
        # Equal sets of answers and labels have equal sums of random numbers.
        draws = np.random.default_rng(0).standard_normal((len(table.levels["subject"]), len(table.categories)))
        seen = np.bincount(judge, draws[subject, response], len(table.levels[self.over])).round(9)
        kind = np.unique(seen, return_inverse=True)[1].reshape(-1)
        golden = np.array([label in self.golds for label in table.levels[self.over]], bool)
        kind[golden] = len(kind)
        pairs = np.unique(np.stack([subject, kind[judge]]), axis=1)
        return int(np.sum(np.bincount(pairs[0]) >= _SHARED))

    @override
    def check(self, table: Table) -> None:
        """Raise DataError for what no model of this kind fits, one candidate, or a column of families that is none."""
        AbstractTruthModel.check(self, table)
        n_categories = len(table.categories)
        if self.background is not None and len(self.background) != n_categories:
            raise DataError(
                f"SimplexJudge(background=...) has {counted(len(self.background), 'share')} for "
                f"{n_categories} categories: give one for each of {listing(table.categories)}"
            )
        if len(table.levels[self.candidate_axis]) < 2:
            raise DataError(
                f"SimplexJudge: {self.candidate_axis!r} has one level, {table.levels[self.candidate_axis][0]!r}, and "
                "nothing to compare it with"
            )
        if self.self_preference is not None and tuple(table.levels[self.self_preference]) not in _OWN:
            raise DataError(
                f"SimplexJudge(self_preference={self.self_preference!r}): that column has levels "
                f"{listing(table.levels[self.self_preference])}; it must hold both of two truth "
                "values, 0 and 1, or 'no' and 'yes'"
            )
