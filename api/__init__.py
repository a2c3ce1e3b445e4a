"""The HTTP API and the dashboard: reads SQL alone, through ``storage``; knows neither Kafka nor a worker's memory."""
