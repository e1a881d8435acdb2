"""Reading one web site: its sitemap or its links, within its own rules and ours."""
