"""Door 2: applications from a Kafka topic. Translates and does nothing else; confluent_kafka in one file."""
