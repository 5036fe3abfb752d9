"""Where text comes from: list, fetch, and parse it to canonical text with a map."""
