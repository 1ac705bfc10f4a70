"""Other names for hosts, addresses, files and people, in every layer where they stand."""
