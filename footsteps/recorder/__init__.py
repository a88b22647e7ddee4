"""What a run records besides its name and its directory."""
