"""Adding a model touches one file: with it in place, fitting, naming, studies and stored fits know the model."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from model_cases import response_frame, response_table

import psymetric as ps
import psymetric.models
from psymetric.design.settings import ModelSettings

SOURCE = '''"""Normal ogive model of right and wrong answers (Lawley, 1943)."""

from dataclasses import dataclass
from typing import final

import jax.numpy as jnp
from jax.scipy.stats import norm

from psymetric.models.base import ABILITY, AbstractMeasurementModel, ParamSpec


@final
@dataclass(frozen=True)
class NormalOgive(AbstractMeasurementModel):
    table_kind = "responses"
    facets = ("item",)

    @property
    def parameters(self):
        return (
            ParamSpec(ABILITY, ("subject",), random=True),
            ParamSpec("item", ("item",), identification="sum_to_zero"),
        )

    def category_log_probs(self, params, codes, n_categories):
        gap = params[ABILITY][codes["subject"]] - params["item"][codes["item"]]
        return jnp.stack([norm.logcdf(-gap), norm.logcdf(gap)], axis=1)
'''


@pytest.fixture
def one_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "normal_ogive.py").write_text(SOURCE)
    monkeypatch.setattr(psymetric.models, "__path__", [*psymetric.models.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    yield
    sys.modules.pop("psymetric.models.normal_ogive", None)


def test_one_file_makes_a_model(one_new_file, tmp_path):
    table = response_table(response_frame(2))
    fit = ps.fit(ps.NormalOgive(), table)  # pyright: ignore[reportAttributeAccessIssue]
    logistic = ps.fit(ps.Rasch(), table)
    # A probit is about a logit over 1.7, so that the two must agree in shape, and the likelihoods closely.
    ratio = fit.parameters["item"] @ logistic.parameters["item"] / np.sum(fit.parameters["item"] ** 2)
    assert ratio == pytest.approx(1.6, abs=0.25)
    assert fit.log_likelihood == pytest.approx(logistic.log_likelihood, abs=0.5)
    assert type(ModelSettings(kind="normal_ogive").build(("item",))).__name__ == "NormalOgive"
    assert ps.Fit.load(fit.save(tmp_path / "fit.npz")).model == fit.model
    assert len(ps.score(fit, table).frame) == 12
    assert set(ps.fit_statistics(fit, table)["facet"]) == {"subject", "item", "judge"}


def test_without_the_file_there_is_no_such_name():
    with pytest.raises(AttributeError, match="has no attribute 'NormalOgive'"):
        _ = ps.NormalOgive  # pyright: ignore[reportAttributeAccessIssue]
