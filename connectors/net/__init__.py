"""Asking servers: politely, within bounds, and never inside the user's own network unasked."""
