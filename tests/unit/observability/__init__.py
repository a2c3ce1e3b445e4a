"""What roles say of themselves, without a broker."""
