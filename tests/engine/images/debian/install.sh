#!/bin/sh
# Runs inside the half-made system: installs the packages properly and says where more come from.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

# Left by the rough unpacking; dpkg, which knows what a slim image leaves out, brings the rest back.
rm -rf /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale

# All at once and without an order: no package of the essential set is configured yet.
dpkg --force-depends --install /debs/*.deb

rm -f /etc/apt/sources.list
{
    cat <<EOF
Types: deb
URIs: ${ARCHIVE%/}
Suites: $SUITE $SUITE-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF
    if [ -n "$SECURITY_ARCHIVE" ]; then
        cat <<EOF

Types: deb
URIs: ${SECURITY_ARCHIVE%/}
Suites: $SUITE-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF
    fi
} > /etc/apt/sources.list.d/debian.sources

# What the release has published since, before anything is built on it.
apt-get update
apt-get dist-upgrade --yes
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/ldconfig/* /var/log/apt/* /var/log/dpkg.log
