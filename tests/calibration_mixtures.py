"""Mixtures of judges: votes and likelihood in NumPy, and what can be ranked where classes have no names.

The prior is the same under every order of the classes, and so is the likelihood: "the worth in class 1" has no rank.
"""

from __future__ import annotations

from collections.abc import Mapping

import mixed_judges
import numpy as np
from calibration_truth import Values
from scipy.special import logsumexp


def without_labels(values: Mapping[str, np.ndarray]) -> Values:
    """Functions of a mixture that are the same under every order of its classes, which are the last axis.

    Arrays may have further axes in front. The distance is the squared one of two classes' worths, summed over pairs.
    """
    share = np.asarray(values["share"])
    worth = np.asarray(values["worth"])
    about_mean = worth - worth.mean(axis=-1, keepdims=True)
    found = {
        "largest share": share.max(axis=-1),
        "distance of worths": share.shape[-1] * (about_mean**2).sum(axis=(-2, -1)),
        "worth, mean of judges": (worth * share[..., None, :]).sum(axis=-1),
    }
    for name in ("position", "tie"):
        if name in values:
            found[f"{name}, mean of judges"] = (np.asarray(values[name]) * share).sum(axis=-1)
    return found


def _by_class(values: Values, codes: Mapping[str, np.ndarray]) -> np.ndarray:
    """Log-probabilities of left, right and tie by judges of each class, shape (rows, 3, classes)."""
    classes = range(len(values["share"]))
    position = values.get("position", np.zeros(len(classes)))
    # A log of zero: ties never occur where the model has none.
    tie = values.get("tie", np.full(len(classes), -np.inf))
    return np.stack(
        [
            mixed_judges.log_probs(values["worth"][:, k], position[k], tie[k], codes["left"], codes["right"])
            for k in classes
        ],
        axis=-1,
    )


def draw_votes(truth: Values, codes: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A class for every judge, and by it an outcome of every comparison, shape (rows,)."""
    kind = rng.choice(len(truth["share"]), codes["judge"].max() + 1, p=truth["share"])
    own = _by_class(truth, codes)[np.arange(len(codes["judge"])), :, kind[codes["judge"]]]
    below = np.cumsum(np.exp(own), axis=1)
    return (rng.random((len(below), 1)) * below[:, -1:] > below).sum(axis=1)


def log_likelihoods(values: Values, codes: Mapping[str, np.ndarray], scores: np.ndarray) -> np.ndarray:
    """Of the votes under several sets of parameters, stacked along the first axis, shape (sets,)."""
    found = np.empty(len(values["share"]))
    for place, share in enumerate(values["share"]):
        one = {name: value[place] for name, value in values.items()}
        chosen = _by_class(one, codes)[np.arange(len(scores)), scores]
        of_judge = np.zeros((codes["judge"].max() + 1, len(share)))
        np.add.at(of_judge, codes["judge"], chosen)
        found[place] = logsumexp(of_judge, axis=1, b=share).sum()
    return found
