"""Parts of spanrag as components of other libraries."""
