"""The report of a back-test: what came of a file of predictions, in metrics, pictures and one page."""
