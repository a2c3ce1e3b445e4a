"""The Faust application and the other Kafka roles: transport, tables, worker, trainer, sink, broker."""
