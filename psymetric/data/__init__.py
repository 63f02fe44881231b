"""Tables of responses and comparisons, scores, and what joins them.

Nothing is imported here, so that a light module (`nonresponse`) can be used without pandas:

- `responses`: `ResponseTable`, ratings and answers in long format.
- `pairs`: `PairTable`, paired comparisons; `rated_pairs`: comparisons made of ratings.
- `rankings`: `RankingTable`, rankings and best-worst choices.
- `scores`: `Scores`, measures of subjects with their uncertainty.
- `connectivity`: `connectivity`, whether the levels of a table can be compared at all.
- `nonresponse`: `NonResponse`, why a row holds no response.
"""

from __future__ import annotations

__all__: list[str] = []
