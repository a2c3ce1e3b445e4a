"""What the product is made of: the audit of its locked packages, and its bill of materials."""
