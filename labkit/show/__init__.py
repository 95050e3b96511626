"""How does one look at a value? Each view is a function from a value to text, SVG or HTML."""
