"""The Kafka client behind our own types: records, consumers, producers, errors."""

__all__ = ["cluster", "errors", "producer", "records", "topic_reader"]
