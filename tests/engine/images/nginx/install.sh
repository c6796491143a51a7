#!/bin/sh
# Installs nginx of the newer suite and gives it the official image's user, folders and logs.
set -eu
export DEBIAN_FRONTEND=noninteractive

groupadd --system --gid 101 nginx
useradd --system --uid 101 --gid nginx --no-create-home --home-dir /nonexistent \
    --comment 'nginx user' --shell /bin/false nginx

newer=/etc/apt/sources.list.d/newer.sources
sed "/^\$/,\$d; s/^Suites:.*/Suites: $NEWER_SUITE/" /etc/apt/sources.list.d/debian.sources > $newer
# A mirror may have stopped following a suite that is not released yet.
echo 'Check-Valid-Until: no' >> $newer
# Nothing else comes from there.
printf 'Package: *\nPin: release n=%s\nPin-Priority: 50\n' "$NEWER_SUITE" > /etc/apt/preferences.d/newer
apt-get update
apt-get install --yes --no-install-recommends ca-certificates curl gettext-base tzdata \
    "nginx/$NEWER_SUITE" "nginx-common/$NEWER_SUITE" "libpcre2-8-0/$NEWER_SUITE"
rm -rf $newer /etc/apt/preferences.d/newer /var/lib/apt/lists/*

case $(nginx -v 2>&1) in
    *nginx/"$VERSION"*) ;;
    *) echo "Debian $NEWER_SUITE has $(nginx -v 2>&1), not $VERSION" >&2; exit 1 ;;
esac

# The official image's layout has none of Debian's site and module folders.
rm -rf /etc/nginx/sites-* /etc/nginx/modules-* /etc/nginx/snippets /etc/nginx/nginx.conf \
    /etc/nginx/proxy_params /etc/nginx/koi-* /etc/nginx/win-utf
ln -s /usr/lib/nginx/modules /etc/nginx/modules
mkdir -p /usr/lib/nginx/modules /docker-entrypoint.d
# Debian's binary keeps its temporary files in another place: make it the same one.
rm -rf /var/lib/nginx
mkdir -p /var/cache/nginx
ln -s /var/cache/nginx /var/lib/nginx
mkdir -p /var/log/nginx
ln -sf /dev/stdout /var/log/nginx/access.log
ln -sf /dev/stderr /var/log/nginx/error.log
