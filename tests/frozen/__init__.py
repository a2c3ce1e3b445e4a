"""Bytes that released versions wrote, and whether today's code reads them."""
