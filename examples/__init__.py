"""Programs that show polypool at work; each one runs as it stands."""
