"""OpenFlow actions as bytes: one module per family, rows and a codec each; ``table`` joins them."""
