"""The page of the demo: the phones, the journey of each log file, and buttons for failures."""
