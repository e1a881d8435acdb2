"""Wire models, apart from the domain types."""
