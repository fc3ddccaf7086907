"""Tools that make the course's notebooks."""
