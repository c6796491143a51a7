#!/bin/sh
# Installs Debian's PostgreSQL, and gives it the official image's user and folders.
set -eu
export DEBIAN_FRONTEND=noninteractive

# Before the package would create the user with another number.
groupadd --system --gid 999 postgres
useradd --system --uid 999 --gid postgres --no-create-home --home-dir /var/lib/postgresql \
    --shell /bin/bash postgres
install --directory --owner postgres --group postgres --mode 1777 /var/lib/postgresql

apt-get update
apt-get install --yes --no-install-recommends postgresql-common
sed -i "s/^#\?create_main_cluster.*/create_main_cluster = false/" /etc/postgresql-common/createcluster.conf
if ! apt-get install --yes --no-install-recommends "postgresql-$PG_MAJOR"; then
    echo "Debian has no PostgreSQL $PG_MAJOR here: $(apt-cache pkgnames postgresql-1 | tr '\n' ' ')" >&2
    exit 1
fi
rm -rf /var/lib/apt/lists/*

sed -i "s/^#\?listen_addresses = .*/listen_addresses = '*'/" \
    "/usr/share/postgresql/$PG_MAJOR/postgresql.conf.sample"
grep -q "^listen_addresses = '\*'" "/usr/share/postgresql/$PG_MAJOR/postgresql.conf.sample"
mkdir /docker-entrypoint-initdb.d
install --directory --owner postgres --group postgres --mode 3777 /run/postgresql
install --directory --owner postgres --group postgres --mode 1777 "$PGDATA"
