"""Documents in, points out."""
