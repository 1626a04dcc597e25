"""How fast it is, what it costs, and at what scale: measured, not asserted."""
