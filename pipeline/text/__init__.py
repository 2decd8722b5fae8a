"""Functions of plain text that several parts of the pipeline share; imports none of them."""
