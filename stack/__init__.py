"""Questions that anybody asks of a deployed stack: its outputs, clients, queues, log lines."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The project's folder."""
