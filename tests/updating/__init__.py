"""Projects that are brought up to date, by the programs and the commands of docs/updating.md."""
