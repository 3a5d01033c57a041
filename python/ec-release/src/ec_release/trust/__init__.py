"""TUF metadata of a release repository: keys, roles, ceremony. The formats are the TUF library's."""
