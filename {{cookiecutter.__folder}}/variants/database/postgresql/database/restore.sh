#!/usr/bin/env bash
# Replace the database by a backup, in the project's folder: bash database/restore.sh backups/latest.dump
set -euo pipefail

file=${1:?Name the file of the backup, such as backups/latest.dump}

server() {
    docker compose exec -T db "$@"
}

# Beside the present database, so that a broken backup changes nothing.
server dropdb --username postgres --if-exists restored
server createdb --username postgres --owner app restored
server pg_restore --username postgres --dbname restored --single-transaction < "$file"

# No connection may be open. The present database remains as "replaced" until the next restore.
docker compose stop proxy app
server dropdb --username postgres --if-exists replaced
server psql --username postgres --quiet --single-transaction \
    --command "ALTER DATABASE app RENAME TO replaced" --command "ALTER DATABASE restored RENAME TO app"
docker compose up --wait
