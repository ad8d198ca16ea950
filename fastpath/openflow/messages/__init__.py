"""OpenFlow messages: one module per family, rows with since and until; ``table`` says which is which."""
