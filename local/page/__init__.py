"""The page of the demo: a phone, the way of each log, and what one cannot wait for."""
