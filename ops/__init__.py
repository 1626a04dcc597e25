"""The commands of an operator for a deployed stack: status, smoke, redrive, flush, tail."""
