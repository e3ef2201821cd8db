"""Door 3: applications over HTTP. One core, FastAPI and Flask; translates and does nothing else."""

from api.settings import Settings, make_settings
from api.worker import note_served, open_keys, run_worker

__all__ = ["Settings", "make_settings", "note_served", "open_keys", "run_worker"]
