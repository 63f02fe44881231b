"""The result of fitting a model: labelled estimates, their uncertainty, and what produced them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from psymetric.core.optimizers import Maximum
from psymetric.core.provenance import Provenance
from psymetric.data.coding import Label
from psymetric.errors import DataError
from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec
from psymetric.models.space import CORRELATION

if TYPE_CHECKING:
    import arviz

__all__ = ["Fit", "FitStatus"]

Array = NDArray[np.float64]


@final
@dataclass(frozen=True)
class FitStatus:
    """How an engine ended.

    Attributes:
        converged: Whether the engine reached what it promises.
        message: One sentence: why it stopped, in the reader's terms.
        iterations: Evaluations of the density, or draws.
        details: Further numbers: last step in logits, nodes, R-hat, effective sample sizes, divergences.
    """

    converged: bool
    message: str
    iterations: int
    details: Mapping[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of_maximum(cls, found: Maximum[Any], ending: str = "", details: Mapping[str, float] | None = None) -> FitStatus:
        """How a search for a maximum ended; `ending` goes on with the sentence."""
        message = f"last Newton step {found.last_step:.1e} logits{ending}"
        return cls(found.converged, message, found.iterations, {"last_step": found.last_step, **(details or {})})


@final
@dataclass(frozen=True)
class Fit:
    """A fitted model. All estimates are in logits.

    Attributes:
        model: What was fitted.
        engine: Name of the engine and, in `provenance.settings`, how it was set.
        status: How the engine ended.
        log_likelihood: Of the data at the estimates, subjects integrated out where the engine does so; None for draws.
        n_parameters: Free parameters behind `log_likelihood`.
        n_responses: Sum of the weights of responses or comparisons, or of whole rankings.
        parameters: Constrained estimates by name (posterior means where there are draws).
        standard_errors: Of the same shapes; zero for what is fixed, NaN for what is not estimable.
        covariances: Covariance matrices of the flattened arrays, for arrays of up to 2,000 numbers.
        factors: How all arrays but the subjects' vary together: shapes (..., P), so that cov(aᵢ, bⱼ) = Σₚ aᵢₚ bⱼₚ
            across any two of them. Empty for draws, which show it themselves, without convergence, and for more than
            2,000 free parameters.
        draws: Posterior draws by name, shape (chains, draws, ...), or None.
        levels: Labels by facet.
        categories: Labels of the categories, low to high.
        counts: Responses per level by facet.
        extremes: By facet, "minimum", "maximum" or "" per level: elements whose estimate rests on an adjusted score.
        penalised: Whether a prior is part of the estimates.
        notes: What a reader of the numbers must know, as sentences.
        provenance: Versions, settings, seed, hash of the table.
    """

    model: AbstractMeasurementModel
    engine: str
    status: FitStatus
    log_likelihood: float | None
    n_parameters: int
    n_responses: float
    parameters: Mapping[str, Array]
    standard_errors: Mapping[str, Array]
    covariances: Mapping[str, Array]
    draws: Mapping[str, Array] | None
    levels: Mapping[str, tuple[Label, ...]]
    categories: tuple[Label, ...]
    counts: Mapping[str, Array]
    extremes: Mapping[str, tuple[str, ...]]
    penalised: bool
    notes: tuple[str, ...]
    provenance: Provenance
    factors: Mapping[str, Array] = field(default_factory=dict[str, Array])

    @property
    def table_hash(self) -> str:
        """Hash of the table that was fitted."""
        return self.provenance.source

    @property
    def aic(self) -> float:
        """Akaike's criterion; NaN where the likelihood was not maximised."""
        if self.log_likelihood is None or self.penalised or not self.status.converged:
            return float("nan")
        return 2 * self.n_parameters - 2 * self.log_likelihood

    def spec(self, facet: str) -> ParamSpec:
        """The parameter that belongs to a facet: "subject" is the ability, "item" of a pair model the worth.

        Raises:
            DataError: The model has no such facet or parameter.
        """
        for spec in self.model.parameters:
            if facet in (spec.name, *spec.axes[:1]) and "step" not in spec.axes[:1] and ":" not in spec.name:
                return spec
            if facet == spec.name:
                return spec
        known = [spec.axes[0] if spec.name in (ABILITY, "worth") else spec.name for spec in self.model.parameters]
        raise DataError(f"{type(self.model).__name__} has no facet {facet!r}: it has {known} and 'population'")

    def estimates(self, facet: str, *, level: float = 0.95) -> pd.DataFrame:
        """Estimates of one facet as a tidy frame.

        Args:
            facet: "subject", "item", "judge", …; "step"; "judge:item" for an interaction; "population" for mean and sd.
            level: Coverage of the intervals, in (0, 1).

        Returns:
            Columns level (or group and step, or the two facets of an interaction), estimate, se, lower, upper in
            logits, n (responses), note. Intervals are normal at a mode and quantiles where there are draws; scales
            and slopes above zero use the log, probabilities the logit.

        Raises:
            DataError: Unknown facet, a level outside (0, 1), or subjects of a fit that integrated them out.
        """
        from psymetric.estimation.frames import estimates_frame

        if not 0 < level < 1:
            raise DataError(f"level={level} is not a coverage between 0 and 1, such as 0.95")
        return estimates_frame(self, facet, level)

    def interval(self, name: str, level: float) -> tuple[Array, Array]:
        """Lower and upper ends of the intervals of one parameter array, of its shape."""
        tail = (1 - level) / 2
        if self.draws is not None and name in self.draws:
            flat = self.draws[name].reshape(-1, *self.draws[name].shape[2:])
            ends = np.quantile(flat, [tail, 1 - tail], axis=0)
            return ends[0], ends[1]
        estimate, se, z = self.parameters[name], self.standard_errors[name], float(ndtri(1 - tail))
        support = next((spec.support for spec in self.model.parameters if spec.name == name), "real")
        if name.endswith("_sd") or support == "positive":
            factor = np.exp(z * se / estimate)
            return estimate / factor, estimate * factor
        if name == CORRELATION:
            # Fisher's transformation; the diagonal is known.
            reach = z * np.divide(se, 1 - estimate**2, out=np.zeros_like(se), where=estimate**2 < 1)
            middle = np.arctanh(np.where(estimate**2 < 1, estimate, 0.0))
            ends = np.tanh(middle - reach), np.tanh(middle + reach)
            return np.where(estimate**2 < 1, ends[0], estimate), np.where(estimate**2 < 1, ends[1], estimate)
        if support in ("unit", "simplex"):
            with np.errstate(divide="ignore", invalid="ignore"):
                return _within_bounds(estimate, z * se)
        return estimate - z * se, estimate + z * se

    def summary(self) -> str:
        """The fit in a few lines of plain text."""
        from psymetric.estimation.frames import summary_text

        return summary_text(self)

    def __str__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self.summary())}</pre>"

    def to_arviz(self) -> arviz.InferenceData:
        """Draws, or the estimates as a single draw, as ArviZ's container.

        A fit without draws has one chain of one draw, so that labels and coordinates are there but no diagnostics are.
        """
        from psymetric.estimation.arviz_adapter import to_arviz

        return to_arviz(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the draws, covariances and factors as JSON-able values."""
        from psymetric.estimation.files import to_record

        return to_record(self)

    def save(self, path: str | Path) -> Path:
        """Write the whole fit to one `.npz` file without pickle; returns the path.

        Raises:
            DataError: The file cannot be written.
        """
        from psymetric.estimation.files import save_fit

        return save_fit(self, Path(path))

    @staticmethod
    def load(path: str | Path) -> Fit:
        """Read what `save` wrote.

        Raises:
            DataError: Not such a file, or one from an incompatible version.
        """
        from psymetric.estimation.files import load_fit

        return load_fit(Path(path))


def _within_bounds(estimate: Array, reach: Array) -> tuple[Array, Array]:
    """Ends of intervals of probabilities, from the logit; NaN where an estimate at 0 or 1 has no standard error."""
    middle = np.log(estimate) - np.log1p(-estimate)
    away = np.where(reach == 0, 0.0, reach / (estimate * (1 - estimate)))
    return expit(middle - away), expit(middle + away)
