"""What a platform's record means in the hub's own fields: `dictionary` reads the files, `apply` does the work."""
