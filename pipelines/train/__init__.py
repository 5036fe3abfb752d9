"""Training: from questions with references to what selection ships with."""
