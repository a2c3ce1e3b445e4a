"""Predictive models only: BTYD base, online learner, batch ensemble, and the scorer that combines them."""
