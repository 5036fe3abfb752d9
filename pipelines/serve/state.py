"""What a running server holds."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.serve.asking import Desk
from pipelines.serve.clerk import Clerk
from pipelines.serve.keys import Keys
from pipelines.serve.limits import RateLimit
from pipelines.serve.metrics import Metrics

__all__ = ["ServerState"]


@dataclass(frozen=True, slots=True)
class ServerState:
    """Made when the server starts; the same for every request."""

    keys: Keys
    rate: RateLimit
    desk: Desk
    clerk: Clerk
    metrics: Metrics
