"""What can be set of a worker and of its Kafka client."""
