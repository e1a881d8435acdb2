"""Mailboxes as sources: an mbox file, a folder of an IMAP server."""
