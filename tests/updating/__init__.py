"""Updates of generated projects, with the programs and commands of docs/updating.md."""
