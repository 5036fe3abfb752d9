"""What a running server holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.serve.asking import Desk
from pipelines.serve.clerk import Clerk
from pipelines.serve.keys import Keys
from pipelines.serve.limits import RateLimit
from pipelines.serve.metrics import Metrics

__all__ = ["ServerState"]


@dataclass(frozen=True, slots=True)
class ServerState:
    """Made when the server starts; the same for every request.

    A clerk for each route; of an index that stands alone, one without a name.
    """

    keys: Keys
    rate: RateLimit
    desk: Desk
    clerks: Mapping[str, Clerk]
    metrics: Metrics
