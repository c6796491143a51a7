"""What tests and commands import: no assertions about the template."""
