#!/usr/bin/env bash
# Starts PostgreSQL as the official image does: with an empty data folder, it first creates the
# database and runs the SQL files of /docker-entrypoint-initdb.d.
set -euo pipefail

if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
if [ "${1:-}" != postgres ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown -R postgres "$PGDATA" /run/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
mkdir -p "$PGDATA"
chmod 700 "$PGDATA" || true

if [ -s "$PGDATA/PG_VERSION" ]; then
    echo "PostgreSQL Database directory appears to contain a database; Skipping initialization"
    exec "$@"
fi

# Each of these settings may be in a file instead, such as a secret.
for name in POSTGRES_PASSWORD POSTGRES_USER POSTGRES_DB; do
    file=${name}_FILE
    if [ -n "${!file:-}" ]; then export "$name"="$(< "${!file}")"; fi
    unset "$file"
done
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ -z "${POSTGRES_PASSWORD:-}" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
    echo "Error: Database is uninitialized and superuser password is not specified." >&2
    exit 1
fi

initdb --username="$user" --pwfile=<(printf '%s\n' "${POSTGRES_PASSWORD:-}")
printf '\nhost all all all %s\n' "${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >> "$PGDATA/pg_hba.conf"

# A temporary server that no network reaches.
shift
pg_ctl --wait --options "-c listen_addresses='' $*" start
run() { psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$user" "$@"; }
if [ "$database" != postgres ]; then
    run --dbname postgres --set database="$database" <<< 'CREATE DATABASE :"database";'
fi
shopt -s nullglob
for file in /docker-entrypoint-initdb.d/*.sql; do
    echo "$0: running $file"
    run --dbname "$database" --file "$file"
done
pg_ctl --mode fast --wait stop
unset POSTGRES_PASSWORD
echo "PostgreSQL init process complete; ready for start up."
exec postgres "$@"
