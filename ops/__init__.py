"""The operator's commands: status, explain, smoke, flush, redrive and tail."""
