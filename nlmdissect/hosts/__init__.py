"""Who is who, who restarted when, and what the capture was able to see."""
