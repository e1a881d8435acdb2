"""What tests share: one set-up of catalog, vectors, models and worker, and readers of the source tree."""
