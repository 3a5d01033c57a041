"""The API for programs: everything that pages show, and everything that they change."""
