"""The database: tables, migrations, one thread that writes, connections that read."""
