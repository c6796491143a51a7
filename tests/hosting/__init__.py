"""Each platform's files: validated, and used as its platform would."""
