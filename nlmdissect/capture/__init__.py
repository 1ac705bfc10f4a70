"""From bytes to RPC messages. ``files`` is the only module that opens a file."""
