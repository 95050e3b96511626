"""How does a view come alive in a notebook? Thin wrappers around the views of `labkit.show`."""
