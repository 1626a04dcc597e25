"""What an operator runs against a deployed stack: status, smoke, redrive, flush, tail."""
