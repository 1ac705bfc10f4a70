"""RPC messages become calls with their answers, and calls become requests."""
