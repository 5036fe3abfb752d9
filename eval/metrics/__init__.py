"""What is measured: overlap, ranking, answer, grounding, cost. Plain functions of one question."""
