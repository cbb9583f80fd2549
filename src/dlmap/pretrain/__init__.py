"""Training of the small prior that ships."""
