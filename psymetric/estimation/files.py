"""A fit on disk: one `.npz` file of plain arrays with a JSON record, no pickle."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from psymetric.core.provenance import Provenance
from psymetric.errors import DataError
from psymetric.estimation.fit import Fit, FitStatus
from psymetric.models.discovery import get_model, model_settings

__all__ = ["load_fit", "save_fit", "to_record"]

_FORMAT = 1
_ARRAYS = ("parameters", "standard_errors", "covariances", "factors", "draws", "counts")


def to_record(fit: Fit) -> dict[str, Any]:
    """Everything but the arrays' bulk (draws, covariances) as JSON-able values."""
    return _header(fit) | {
        "parameters": {name: np.asarray(value).tolist() for name, value in fit.parameters.items()},
        "standard_errors": {name: np.asarray(value).tolist() for name, value in fit.standard_errors.items()},
    }


def _header(fit: Fit) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "model": type(fit.model).__name__,
        "model_settings": _jsonable(model_settings(fit.model)),
        "engine": fit.engine,
        "status": {
            "converged": fit.status.converged,
            "message": fit.status.message,
            "iterations": fit.status.iterations,
            "details": dict(fit.status.details),
        },
        "log_likelihood": fit.log_likelihood,
        "n_parameters": fit.n_parameters,
        "n_responses": fit.n_responses,
        "levels": {facet: _jsonable(labels) for facet, labels in fit.levels.items()},
        "categories": _jsonable(fit.categories),
        "extremes": {facet: list(sides) for facet, sides in fit.extremes.items()},
        "penalised": fit.penalised,
        "notes": list(fit.notes),
        "provenance": fit.provenance.to_dict(),
    }


def _jsonable(value: Any) -> Any:
    """Mappings become lists of pairs, so that integer labels survive JSON."""
    if isinstance(value, dict):
        return {"pairs": [[_jsonable(k), _jsonable(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _from_jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_from_jsonable(k): _from_jsonable(v) for k, v in value["pairs"]}
    if isinstance(value, list):
        return tuple(_from_jsonable(item) for item in value)
    return value


def save_fit(fit: Fit, path: Path) -> Path:
    """The writer behind `Fit.save`."""
    arrays = {f"{kind}/{name}": value for kind in _ARRAYS for name, value in (getattr(fit, kind) or {}).items()}
    record = np.frombuffer(json.dumps(_header(fit), allow_nan=True).encode(), np.uint8)
    try:
        with path.open("wb") as file:
            np.savez_compressed(file, record=record, **arrays)
    except OSError as error:
        raise DataError(f"cannot write the fit to {path}: {error.strerror or error}") from error
    return path


def load_fit(path: Path) -> Fit:
    """The reader behind `Fit.load`."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            record = dict(json.loads(stored["record"].tobytes()))
            arrays = {name: stored[name] for name in stored.files if name != "record"}
    except OSError as error:
        raise DataError(f"cannot read a fit from {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a fit written by Fit.save, or is damaged") from error
    if record.get("format") != _FORMAT:
        raise DataError(f"{path} has format {record.get('format')}, this version reads {_FORMAT}: fit the table again")
    try:
        return _from_record(record, arrays)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not a fit written by Fit.save, or is damaged") from error


def _from_record(record: dict[str, Any], arrays: dict[str, Any]) -> Fit:
    kinds: dict[str, dict[str, Any]] = {kind: {} for kind in _ARRAYS}
    for key, value in arrays.items():
        kind, name = key.split("/", 1)
        kinds[kind][name] = value
    return Fit(
        model=get_model(record["model"], _from_jsonable(record["model_settings"])),
        engine=record["engine"],
        status=FitStatus(**record["status"]),
        log_likelihood=record["log_likelihood"],
        n_parameters=record["n_parameters"],
        n_responses=record["n_responses"],
        parameters=kinds["parameters"],
        standard_errors=kinds["standard_errors"],
        covariances=kinds["covariances"],
        factors=kinds["factors"],
        draws=kinds["draws"] or None,
        levels={facet: _from_jsonable(labels) for facet, labels in record["levels"].items()},
        categories=_from_jsonable(record["categories"]),
        counts=kinds["counts"],
        extremes={facet: tuple(sides) for facet, sides in record["extremes"].items()},
        penalised=record["penalised"],
        notes=tuple(record["notes"]),
        provenance=Provenance.from_dict(record["provenance"]),
    )
