"""Back-tests: the scorer replayed over a history of orders, and a report of how good its scores were."""
