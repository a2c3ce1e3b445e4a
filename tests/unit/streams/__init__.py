"""The Kafka roles, without a broker."""
