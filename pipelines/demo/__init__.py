"""The demo: a few fictional documents, the questions asked of them, and what makes the PDF."""
