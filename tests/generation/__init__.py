"""What the template generates, without Docker."""
