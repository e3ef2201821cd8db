"""The kinds of attribute, each of which knows how to read its cells and what a spec may say of it."""
