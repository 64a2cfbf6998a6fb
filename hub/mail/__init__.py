"""Our own letters: their texts, and the way out over SMTP."""
