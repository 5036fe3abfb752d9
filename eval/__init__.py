"""How good it is: span-exact metrics, statistics and reports, all of them over recorded runs.

Nothing here loads a model or opens an index. A run is made by `pipelines.evaluate` and is a file;
everything in this package reads files and does arithmetic.
"""
