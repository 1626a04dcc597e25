"""Routing: the time to find the phones of a log among many routes."""

import statistics
import time
from typing import Any

from handler.routes import Routes
from simulation.samples import PHONES_A_ROUTE, ROUTED_KEYS, ROUTES, with_many_routes

ROUNDS = 2000

GOAL_MICROSECONDS = 50


def measure() -> dict[str, Any]:
    """Route keys that match the first route, the last one, or none."""
    routes = Routes(with_many_routes())
    took = []
    for _ in range(ROUNDS):
        for key in ROUTED_KEYS:
            started = time.perf_counter()
            routes.phones(key)
            took.append(time.perf_counter() - started)
    return {
        "routes": ROUTES,
        "phones_a_route": PHONES_A_ROUTE,
        "microseconds_per_file": round(statistics.median(took) * 1e6, 1),
    }
