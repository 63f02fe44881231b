"""Models of a latent truth: every subject belongs to one category, nobody knows which, and judges say what they see."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import logsumexp
from numpy.typing import NDArray
from typing_extensions import override

from psymetric.core.parameters import Block
from psymetric.core.simplex import Simplex
from psymetric.data.coding import Label
from psymetric.data.messages import counted, nearest
from psymetric.errors import DataError, DesignError
from psymetric.models.base import AbstractMeasurementModel, ParamSpec, Table
from psymetric.models.covariates import by_level
from psymetric.models.judge_mixture import MEMBERSHIP
from psymetric.models.population import Population

__all__ = ["CATEGORY", "PREVALENCE", "TRUTH", "AbstractTruthModel", "Labels", "check_positive", "check_share"]

PREVALENCE, TRUTH, CATEGORY = "prevalence", "truth", "category"

Codes = NDArray[np.int32]


@final
@dataclass(frozen=True)
class Labels:
    """What a latent-truth model reads of a table with S subjects; gold labels stand apart from the R other labels.

    Attributes:
        codes: "subject", the judges and what else tells labels apart, each of shape (R,); judges are coded as in
            `AbstractTruthModel.levels`.
        response: Category of each label, shape (R,).
        weight: How often each counts, shape (R,).
        subjects: What is known of each subject: "subject", and its group where there are groups, each of shape (S,).
        known: The true category of each subject with a gold label, else -1, shape (S,).
    """

    codes: dict[str, Codes]
    response: Codes
    weight: NDArray[np.float64]
    subjects: dict[str, Codes]
    known: Codes


@dataclass(frozen=True)
class AbstractTruthModel(AbstractMeasurementModel):
    r"""A measurement model whose subjects have one true category each, and judges that label them.

    $$P(\text{labels of } i) = \sum_m \pi_{g(i), m} \prod_{r \in i} P(x_r \mid m, j_r)$$

    Given the truth labels are independent. A model adds `label_log_probs` and its parameters; `prevalence` π, shape
    (truths,) or (groups, truths), and the meaning of gold are common to all. Truths are the table's categories.

    Args:
        over: The facet whose levels are judges.
        gold: The level of that facet whose labels are the truth, or several of them. It fixes the truth of subjects it
            labelled; that of all others stays latent.
        groups: A column that is constant within a subject, whose levels have prevalences of their own.
        prior_subjects: What the Dirichlet prior of a prevalence is worth in subjects, evenly spread over the
            categories, under MAP, Laplace, NUTS and SVI.
    """

    over: str = "judge"
    gold: Label | tuple[Label, ...] | None = None
    groups: str | None = None
    prior_subjects: float = 2.0

    def __post_init__(self) -> None:
        given: Any = self.gold
        if isinstance(given, list):
            object.__setattr__(self, "gold", tuple(given))  # pyright: ignore[reportUnknownArgumentType]
        reserved = ("subject", TRUTH, CATEGORY)
        if self.over in reserved or self.groups in (*reserved, self.over):
            raise DesignError(
                f"{type(self).__name__}(over={self.over!r}, groups={self.groups!r}) must name two columns, neither of "
                f"them one of {list(reserved)}"
            )
        check_positive(self, self.prior_subjects, name="prior_subjects", unit="subjects")

    @abstractmethod
    def label_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        """Log-probability of every category as a label under every truth, shape (rows, truths, categories)."""

    def truth_log_probs(
        self,
        params: Mapping[str, Array],
        subjects: Mapping[str, Array],
        n_categories: int,  # noqa: ARG002  (models whose truths are no categories read it)
    ) -> Array:
        """Log-probability of every truth before any label, shape (subjects, truths).

        Args:
            params: Constrained arrays by name.
            subjects: Codes of the subjects by column, each of shape (subjects,).
            n_categories: Number of categories of the table.
        """
        log_share = jnp.log(params[PREVALENCE])
        if self.groups is not None:
            return log_share[subjects[self.groups]]
        return jnp.broadcast_to(log_share, (len(subjects["subject"]), log_share.shape[-1]))

    def prior_counts(self, name: str, n_categories: int) -> NDArray[np.float64]:
        """Parameters of the Dirichlet prior of an array of support "simplex", of a shape that broadcasts to its own."""
        if name != PREVALENCE:
            raise NotImplementedError(f"{type(self).__name__} must define the prior of {name!r}")
        return np.full(n_categories, self.prior_subjects / n_categories)

    @property
    def cell_columns(self) -> tuple[str, ...]:
        """Codes that `label_log_probs` reads: the facets, and "subject" where subjects have parameters of their own."""
        return self.facets

    @property
    @final
    def golds(self) -> tuple[Label, ...]:
        """The levels that give the truth."""
        if self.gold is None:
            return ()
        return self.gold if isinstance(self.gold, tuple) else (self.gold,)

    @property
    @override
    @final
    def table_kind(self) -> Literal["responses", "pairs", "rankings"]:
        return "responses"

    @property
    @override
    def facets(self) -> tuple[str, ...]:
        return (self.over,)

    @property
    @override
    @final
    def population(self) -> Population:
        return Population(groups=self.groups)

    @property
    @final
    def prevalence(self) -> ParamSpec:
        """The parameter that all models of this kind share."""
        axes = (TRUTH,) if self.groups is None else (self.groups, TRUTH)
        return ParamSpec(PREVALENCE, axes, support="simplex", unit="share")

    @override
    def levels(self, table: Table) -> Mapping[str, tuple[Label, ...]]:
        """The table's, with the judges less those of gold, and the truths and categories."""
        judges = tuple(label for label in table.levels[self.over] if label not in self.golds)
        return {**table.levels, self.over: judges, TRUTH: tuple(table.categories), CATEGORY: tuple(table.categories)}

    @override
    def blocks(self, spec: ParamSpec, table: Table) -> list[Block] | None:
        if spec.support != "simplex":
            return None
        levels = self.levels(table)
        shape = tuple(len(levels[axis]) for axis in spec.axes)
        counts = np.broadcast_to(self.prior_counts(spec.name, len(table.categories)), shape)
        return [Block(spec.name, Simplex(shape), spec.prior_sd, labels=spec.axes, dirichlet=jax.device_put(counts))]

    @final
    def labels(self, table: Table) -> Labels:
        """The table in this model's terms.

        Raises:
            DataError: Gold labels of one subject that differ; groups that vary within a subject.
        """
        judge, n_subjects = table.codes[self.over], len(table.levels["subject"])
        is_gold = np.array([label in self.golds for label in table.levels[self.over]], bool)
        place = (np.cumsum(~is_gold) - 1).astype(np.int32)
        golden = is_gold[judge]
        subject = table.codes["subject"]
        known = np.full(n_subjects, -1, np.int32)
        if golden.any():
            self._mark(table, np.flatnonzero(golden & (table.weight > 0)), known)
        rest = ~golden
        codes = {name: table.codes[name][rest] for name in self.facets if name != self.over}
        codes |= {"subject": subject[rest], self.over: place[judge[rest]]}
        subjects = {"subject": np.arange(n_subjects, dtype=np.int32)}
        if self.groups is not None:
            subjects[self.groups] = by_level(table, self.groups, "subject")
        return Labels(codes, table.response[rest], table.weight[rest], subjects, known)

    def _mark(self, table: Table, rows: NDArray[np.int64], known: Codes) -> None:
        """Write the truth of subjects with gold labels into `known`."""
        subject, response = table.codes["subject"][rows], table.response[rows]
        known[subject] = response
        if np.any(wrong := known[subject] != response):
            at = int(subject[wrong][0])
            said = sorted({str(table.categories[code]) for code in response[subject == at].tolist()})
            raise DataError(
                f"{type(self).__name__}(gold={self.gold!r}): {counted(len(set(subject[wrong].tolist())), 'subject')} "
                f"with gold labels that differ, the first {table.levels['subject'][at]!r} ({', '.join(said)}). Decide "
                "which is true and leave the other out"
            )

    @override
    def category_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        """Log-probabilities of one label by itself, averaged over what its subject's truth may be.

        How likely each truth of each subject is may be given as `params["membership"]`, shape (subjects, truths); else
        it is the prevalence. Labels of one subject are independent only where its truth is known.
        """
        by_truth = self.label_log_probs(params, codes, n_categories)
        if MEMBERSHIP in params:
            return logsumexp(by_truth, axis=1, b=params[MEMBERSHIP][codes["subject"]][:, :, None])
        return logsumexp(by_truth + self.truth_log_probs(params, codes, n_categories)[:, :, None], axis=1)

    def with_truths(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int, *, seed: int
    ) -> dict[str, Array]:
        """`params` with a truth drawn for every subject in `codes`: `membership` of ones and zeros."""
        subject = np.asarray(codes["subject"])
        n_subjects, first = int(subject.max(initial=-1)) + 1, np.unique(subject, return_index=True)
        own = {name: jax.device_put(np.asarray(code)[first[1]]) for name, code in codes.items()}
        chances = np.exp(np.asarray(self.truth_log_probs(params, own, n_categories), np.float64))
        below = chances.cumsum(axis=1) / chances.sum(axis=1, keepdims=True)
        drawn = (np.random.default_rng((seed, n_subjects)).random((len(below), 1)) > below[:, :-1]).sum(axis=1)
        membership = np.zeros((n_subjects, chances.shape[1]))
        membership[first[0], drawn] = 1.0
        return {**params, MEMBERSHIP: jax.device_put(membership)}

    @override
    @final
    def simulate(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int, *, seed: int
    ) -> NDArray[np.int32]:
        """Draw a truth for every subject, unless `params` hold their membership, and then a label for every row."""
        known = params if MEMBERSHIP in params else self.with_truths(params, codes, n_categories, seed=seed)
        return super().simulate(known, codes, n_categories, seed=seed)

    @override
    def check(self, table: Table) -> None:
        """Raise DataError for columns named like axes, one category, unknown gold, or nobody but gold."""
        who = type(self).__name__
        if taken := [name for name in (TRUTH, CATEGORY) if name in table.codes]:
            raise DataError(f"{who}: the table has a facet called {taken[0]!r}, an axis of its parameters: rename it")
        if len(table.categories) < 2:
            raise DataError(f"{who}: all labels are {list(table.categories)}: nothing tells truths apart")
        judges = table.levels[self.over]
        if unknown := [label for label in self.golds if label not in judges]:
            raise DataError(
                f"{who}(gold={self.gold!r}): {self.over!r} has no level {unknown[0]!r}; {nearest(unknown[0], judges)}"
            )
        if not len(self.levels(table)[self.over]):
            raise DataError(f"{who}(gold={self.gold!r}): {self.over!r} has no level but gold: there is nobody to judge")
        self.labels(table)


def check_positive(model: object, value: object, *, name: str, unit: str) -> None:
    """Raise DesignError unless `value` is a positive, finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise DesignError(f"{type(model).__name__}({name}={value!r}) must be a positive number of {unit}, such as 2.0")


def check_share(model: object, value: object, *, name: str) -> None:
    """Raise DesignError unless `value` is strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise DesignError(f"{type(model).__name__}({name}={value!r}) must be a probability between 0 and 1, such as .7")
