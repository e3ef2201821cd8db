"""Door 3: applications over HTTP. One core, FastAPI and Flask; translates and does nothing else."""
