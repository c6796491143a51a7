#!/bin/sh
# Compiles httpd with every module shared, as the official image does.
set -eu

apt_sources=/etc/apt/sources.list.d
mkdir -p /tmp/source
cd /tmp/source
# A mirror may list sources before it has them, most of all after a point release; then those of the
# release before will do, since only the C code counts.
for release in "$SUITE" "$SUITE_BEFORE"; do
    sed "s/^Types:.*/Types: deb-src/; /^\$/,\$d; s/^Suites:.*/Suites: $release/" \
        "$apt_sources/debian.sources" > "$apt_sources/source.sources"
    apt-get update
    if apt-get source --download-only "apache2/$release"; then break; fi
    rm -f apache2_*
done
case $(echo apache2_*.orig.tar.*) in
    apache2_"$VERSION"*) ;;
    *) echo "Debian $SUITE and $SUITE_BEFORE offer $(echo apache2_*), not $VERSION" >&2; exit 1 ;;
esac
tar --extract --strip-components 1 --file apache2_*.orig.tar.gz

CFLAGS="-O2 -pipe" ./configure --prefix="$HTTPD_PREFIX" \
    --enable-mods-shared=reallyall --enable-mpms-shared=all
make -j "$(nproc)"
make install
rm -rf "$HTTPD_PREFIX/man" "$HTTPD_PREFIX/manual"
find "$HTTPD_PREFIX/bin" "$HTTPD_PREFIX/modules" -type f -exec strip --strip-unneeded {} + || true

# A container's logs are its output.
sed -E -i \
    -e 's,^(\s*(CustomLog|TransferLog)\s+)\S+,\1/proc/self/fd/1,' \
    -e 's,^(\s*ErrorLog\s+)\S+,\1/proc/self/fd/2,' \
    "$HTTPD_PREFIX/conf/httpd.conf" "$HTTPD_PREFIX/conf/extra/httpd-ssl.conf"
grep -q '^User www-data' "$HTTPD_PREFIX/conf/httpd.conf" \
    || sed -E -i 's/^(User|Group) .*/\1 www-data/' "$HTTPD_PREFIX/conf/httpd.conf"

# The packages that the result needs at run time.
find "$HTTPD_PREFIX/bin" "$HTTPD_PREFIX/modules" -type f -exec ldd {} + 2> /dev/null \
    | sed -n 's/.* => \(\/[^ ]*\) .*/\1/p' | sort -u | xargs realpath | sort -u \
    | xargs dpkg-query --search | cut -d: -f1 | sort -u > /libraries
