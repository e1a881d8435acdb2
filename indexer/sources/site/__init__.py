"""The crawler: reads one web site by its sitemap or its links, within its own rules and ours."""
