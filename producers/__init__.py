"""What puts orders on Kafka: replay of order logs, a generator of realistic ones, import of aggregated customers."""
