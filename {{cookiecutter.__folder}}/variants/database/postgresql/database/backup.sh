#!/usr/bin/env bash
# Write a backup of the database, in the project's folder: bash database/backup.sh backups/latest.dump
set -euo pipefail

file=${1:?Name the file to write, such as backups/latest.dump}

# For its owner only.
umask 077
mkdir -p "$(dirname "$file")"
docker compose exec -T db pg_dump --username postgres --format custom app > "$file.part"
# A file with this name is complete.
mv "$file.part" "$file"
