"""The measurements: speed, cost and scale. `make bench` runs them all."""
