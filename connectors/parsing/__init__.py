"""From bytes to canonical text: one module a format, one table of them all."""
