"""From the store to frames and tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pandas as pd

from psymetric.administration.parsing import PARSER
from psymetric.administration.readout import read_reply
from psymetric.administration.records import reading_of
from psymetric.administration.store import Store
from psymetric.data.nonresponse import NonResponse
from psymetric.errors import DesignError
from psymetric.providers.replay import record_reply

if TYPE_CHECKING:
    from psymetric.providers.base import ModelEndpoint, Prompt

__all__ = ["AskablePlan", "plan_id", "responses_frame"]
