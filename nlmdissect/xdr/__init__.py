"""XDR (RFC 4506): types as data in ``schema``; ``codec`` reads one value, ``columns`` a million."""
