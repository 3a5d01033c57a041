"""Services that say who people are: OpenID providers, and GitHub."""
