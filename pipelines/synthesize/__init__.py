"""Synthesis: questions with exact reference spans, made out of the documents themselves."""
