"""Commands that decide: files, REST, the stream, and the proof that they agree."""
