"""The proof that the doors agree: the same applications through batch, stream, FastAPI and Flask, compared as bits."""
