"""Draft a spec from a lender's own tables: a complete, commented TOML file that trains after the edits it asks for."""

from features.draft.document import Draft, Tables, draft_spec

__all__ = ["Draft", "Tables", "draft_spec"]
