"""The shapes of answers and of what is taken, as OpenAPI shows them: money in major units, moments RFC 3339 in UTC."""
