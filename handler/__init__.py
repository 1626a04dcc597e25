"""All that runs in Lambda. Importing it needs no environment and does nothing."""
