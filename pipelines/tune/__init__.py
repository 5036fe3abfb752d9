"""Tune: search the settings of the query path on one side of the questions, report on the other."""
