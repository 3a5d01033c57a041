"""Who asks: roles and scopes, API tokens, sessions, the keys that sign them."""
