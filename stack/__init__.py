"""Questions that anybody asks of a deployed stack: its outputs, clients, queues, log lines."""
