"""Models whose responses share a second latent variable within a subject, one for every level of a facet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import final

import jax
import numpy as np
from jax import Array

from psymetric.errors import DesignError
from psymetric.models.base import AbstractMeasurementModel

__all__ = ["AbstractNestedModel", "require_independence"]


class AbstractNestedModel(AbstractMeasurementModel):
    """A measurement model with a latent variable for each pair of a subject and a level of `within`, its owner.

    Given the subject and this variable responses are independent, and `category_log_probs` reads the variable as
    `params[latent][codes[owner]]`. It is either N(0, sd²), with the sd a parameter `<latent>_sd`, or one of a few
    states: then `n_states` and `state_log_probs` say how many and how likely. Engines integrate it out.
    """

    @property
    @abstractmethod
    def latent(self) -> str:
        """Name of the latent variable."""

    @property
    @abstractmethod
    def within(self) -> str:  # pyright: ignore[reportRedeclaration]
        """The facet; one of `facets`."""

    @property
    @final
    def owner(self) -> str:
        """Name of the column of codes that tells the pairs apart."""
        return f"subject:{self.within}"

    def n_states(self, n_categories: int) -> int | None:  # noqa: ARG002  (models of states read it)
        """Number of states of a discrete variable; None for a normal one."""
        return None

    def state_log_probs(self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int) -> Array:
        """Log-probability of every state for pairs with these codes ("subject", `within`), shape (pairs, states)."""
        raise NotImplementedError(f"{type(self).__name__} has states (n_states) and must define state_log_probs")

    @final
    def with_latent(
        self, params: Mapping[str, Array], codes: Mapping[str, Array], n_categories: int, *, seed: int
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Draw the latent variable of every pair in `codes`, so that `simulate` can draw responses.

        Args:
            params: Constrained arrays by name, the subjects' among them.
            codes: Integer codes by column, "subject" among them, each of shape (responses,).
            n_categories: Number of categories of the table.
            seed: Seed of the random numbers.

        Returns:
            `params` with the variable, shape (pairs,), and `codes` with the pair of each response.
        """
        pairs = np.stack([np.asarray(codes[name], np.int64) for name in ("subject", self.within)])
        _, first, pair = np.unique(pairs, axis=1, return_index=True, return_inverse=True)
        key = jax.random.key(seed)
        if self.n_states(n_categories) is None:
            drawn = params[f"{self.latent}_sd"] * jax.random.normal(key, first.shape)
        else:
            own = {name: jax.numpy.asarray(np.asarray(codes[name])[first]) for name in ("subject", self.within)}
            drawn = jax.random.categorical(key, self.state_log_probs(params, own, n_categories), axis=1)
        return {**params, self.latent: drawn}, {**codes, self.owner: jax.numpy.asarray(pair.reshape(-1))}


def require_independence(model: AbstractMeasurementModel, who: str, *, instead: str) -> None:
    """Raise DesignError where responses of a subject hang together; `instead` names what knows of it."""
    if isinstance(model, AbstractNestedModel):
        raise DesignError(
            f"{who} takes the responses of a subject as independent of each other, and {type(model).__name__} lets "
            f"those under one {model.within} hang together: use {instead}"
        )
