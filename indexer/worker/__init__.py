"""The write path: claim, chunk, embed, upsert, commit."""
