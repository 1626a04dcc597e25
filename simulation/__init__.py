"""The handler in a world of its own (clock, table, queues, Twilio): for tests and bench."""
