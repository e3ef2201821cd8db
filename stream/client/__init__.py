"""The Kafka client behind our own types: records, consumers, producers, errors."""
