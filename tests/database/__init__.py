"""A project with a database: on every server, under load, and when the database fails."""
