"""Tables of SQLite databases as a source of Winnow."""
