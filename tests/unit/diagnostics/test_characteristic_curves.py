from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from given_fits import drawn_table, given_fit
from scipy.special import softmax

import psymetric as ps
from psymetric.diagnostics.characteristic_curves import _dense, characteristic_curves
from psymetric.diagnostics.moments import measure

ITEM, JUDGE, STEP = np.array([-0.8, 0.1, 0.7]), np.array([-0.6, 0.6]), np.array([[-1.0, 1.0], [-0.2, 0.2], [0.4, -0.4]])
LEVELS = {"item": ("easy", "mid", "hard"), "judge": ("mild", "stern")}
LABELS = np.array([1.0, 2.0, 4.0])


def make(**changes: object) -> ps.Fit:
    model = ps.ManyFacetRasch(facets=("item", "judge"), steps="item")
    return given_fit(model, LEVELS, (1, 2, 4), item=ITEM, judge=JUDGE, step=STEP, **changes)


def probabilities(location: np.ndarray, step: np.ndarray) -> np.ndarray:
    logits = np.cumsum(location[..., None] - step, axis=-1)
    return softmax(np.concatenate([np.zeros((*location.shape, 1)), logits], axis=-1), axis=-1)


def test_curves_are_the_expected_labels() -> None:
    fit = make()
    found = characteristic_curves(fit, drawn_table(fit, np.random.default_rng(0).normal(size=30), seed=1))
    theta = found.test["theta"].to_numpy()
    expected = np.stack([probabilities(theta - d, s) @ LABELS for d, s in zip(ITEM, STEP, strict=True)])
    np.testing.assert_allclose(found.curves["expected"].to_numpy().reshape(3, -1), expected, rtol=1e-10)
    np.testing.assert_allclose(found.test["expected"], expected.sum(axis=0), rtol=1e-10)
    np.testing.assert_allclose(found.test["average"], expected.mean(axis=0), rtol=1e-10)
    assert found.scale == (1.0, 4.0)
    judges = characteristic_curves(fit, drawn_table(fit, np.zeros(10), seed=1), facet="judge")
    mean = np.stack([
        np.mean([probabilities(theta - d - j, s) @ LABELS for d, s in zip(ITEM, STEP, strict=True)], axis=0)
        for j in JUDGE
    ])  # fmt: skip
    np.testing.assert_allclose(judges.curves["expected"].to_numpy().reshape(2, -1), mean, rtol=1e-10)


def test_groups_are_what_a_loop_over_responses_and_nodes_finds() -> None:
    fit = make(mean=0.2, sd=1.3)
    table = drawn_table(fit, np.random.default_rng(3).normal(0.2, 1.3, 25), seed=4, share=0.7)
    found = characteristic_curves(fit, table, groups=3)
    measured = measure(fit, table, who="test")
    dense = _dense(measured.abilities)
    # The same posteriors: cubic interpolation of their logarithms, cut at 7 sds.
    np.testing.assert_allclose(dense.mean, measured.abilities.mean, atol=1e-4)
    np.testing.assert_allclose(dense.sd, measured.abilities.sd, rtol=1e-4)
    theta, weight = dense.theta, dense.weight
    order = np.argsort(theta.ravel(), kind="stable")
    share = (np.cumsum(weight.ravel()[order]) - weight.ravel()[order] / 2) / weight.sum()
    edges = np.interp([1 / 3, 2 / 3], share, theta.ravel()[order])
    sums = np.zeros((3, 3, 5))
    for row in range(table.n_rows):
        item = LEVELS["item"].index(table.levels["item"][table.codes["item"][row]])
        judge = LEVELS["judge"].index(table.levels["judge"][table.codes["judge"][row]])
        subject = table.codes["subject"][row]
        own = np.zeros((3, 3))
        for node, mass in zip(theta[subject], weight[subject], strict=True):
            p = probabilities(np.array(node - ITEM[item] - JUDGE[judge]), STEP[item])
            mean = p @ LABELS
            own[np.searchsorted(edges, node, side="right")] += [mass, mass * mean, mass * (p @ LABELS**2 - mean**2)]
            sums[item, np.searchsorted(edges, node, side="right"), 4] += mass * node
        observed = LABELS[table.response[row]]
        sums[item, :, :4] += np.column_stack([own[:, 0], own[:, 0] * observed, own[:, 1], own[:, 0] * own[:, 2]])
    n = sums[..., 0].ravel()
    expected = {
        "n": n,
        "observed": sums[..., 1].ravel() / n,
        "expected": sums[..., 2].ravel() / n,
        "se": np.sqrt(sums[..., 3].ravel()) / n,
        "theta": sums[..., 4].ravel() / n,
    }
    assert found.observed["level"].tolist() == [label for label in LEVELS["item"] for _ in range(3)]
    for name, values in expected.items():
        np.testing.assert_allclose(found.observed[name], values, rtol=1e-9, err_msg=name)
    gap = found.observed["observed"] - found.observed["expected"]
    np.testing.assert_allclose(found.observed["z"], gap / found.observed["se"])
    curve = [
        float(probabilities(np.array(at - ITEM[k // 3]), STEP[k // 3]) @ LABELS)
        for k, at in enumerate(found.observed["theta"])
    ]
    # Interpolation on the grid of .13 logits: (spacing² / 8) times a curvature below one.
    np.testing.assert_allclose(found.observed["adjusted"], curve + gap, atol=0.13**2 / 8)


def test_measures_of_joint_ml_stand_in_one_group_each() -> None:
    fit = make()
    theta = np.linspace(-1.5, 1.5, 40)
    table = drawn_table(fit, theta, seed=8)
    labels = tuple(f"s{place}" for place in range(40))
    joint = dataclasses.replace(
        fit,
        engine="JointML",
        parameters={**{name: fit.parameters[name] for name in ("item", "judge", "step")}, "ability": theta},
        standard_errors={**fit.standard_errors, "ability": np.full(40, 0.3)},
        levels={**fit.levels, "subject": labels},
    )
    found = characteristic_curves(joint, table, groups=4)
    assert found.observed["n"].tolist() == [20.0] * 12
    frame = table.to_frame()
    frame["group"] = np.array([int(subject[1:]) // 10 for subject in frame["subject"]])
    observed = frame.assign(value=frame["response"].astype(float)).groupby(["item", "group"])["value"].mean()
    assert found.observed["observed"].tolist() == pytest.approx([
        observed[label, group] for label in LEVELS["item"] for group in range(4)
    ])  # fmt: skip


def test_observed_means_lie_on_the_curve_where_the_model_holds() -> None:
    """Groups of posteriors show no misfit of their own: mean z over 40 tables within 4 Monte Carlo errors of zero."""
    fit = make()
    rng = np.random.default_rng(12)
    z = np.array([
        characteristic_curves(fit, drawn_table(fit, rng.normal(size=60), seed=seed))
        .observed.pivot(index="level", columns="group", values="z")
        .to_numpy()
        for seed in range(40)
    ])  # fmt: skip
    error = z.std(axis=0, ddof=1) / np.sqrt(len(z))
    assert np.max(np.abs(z.mean(axis=0)) / error) < 4
    # Their spread is at most what the standard error says: sd of z below one plus 4 / sqrt(2 · 40).
    assert z.std(axis=0, ddof=1).max() < 1 + 4 / np.sqrt(80)


def test_misfit_is_visible() -> None:
    flat = make()
    steep = given_fit(
        ps.ManyFacetRasch(facets=("item", "judge"), steps="item", slopes=("item",)),
        LEVELS,
        (1, 2, 4),
        item=ITEM,
        judge=JUDGE,
        step=STEP,
        item_slope=[1.0, 3.0, 1.0],
    )
    found = characteristic_curves(flat, drawn_table(steep, np.random.default_rng(2).normal(size=300), seed=3)).observed
    worst = found.groupby("level", sort=False)["z"].agg(lambda z: z.abs().max())
    assert worst.idxmax() == "mid"
    mid = found[found["level"] == "mid"]["z"].tolist()
    assert mid[0] < -2
    assert mid[-1] > 2


def test_bad_input_is_refused() -> None:
    fit = make()
    table = drawn_table(fit, np.zeros(5), seed=0)
    with pytest.raises(ps.errors.DataError, match=r"no facet 'template'.*\['item', 'judge'\]"):
        characteristic_curves(fit, table, facet="template")
    with pytest.raises(ps.errors.DataError, match="groups=1 of subjects"):
        characteristic_curves(fit, table, groups=1)
