"""OpenFlow actions: one module per family, each action a value with ``parse`` and ``format``.

``table`` maps names to parsers, ``versions`` shows a list as each OpenFlow version would, ``check``
judges a list against a match.
"""
