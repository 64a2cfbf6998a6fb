"""Edge to our own letters over SMTP. The first letters come with the consent centre; nothing uses it yet."""
