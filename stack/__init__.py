"""Reading a deployed stack: its outputs, settings, clients, queues and log lines."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The project's folder."""
