"""The handler with a simulated clock, table, queues and Twilio, for tests and bench."""
