#!/bin/sh
# Downloads Debian's Python and makes it look like one that was built with --prefix=/usr/local.
set -eu
python=python$VERSION
lib=/usr/local/lib/$python

# --- Debian's packages, unpacked below /usr/local -------------------------------------------------
sed "/^\$/,\$d; s/^Suites:.*/Suites: $NEWER_SUITE/" /etc/apt/sources.list.d/debian.sources \
    > /etc/apt/sources.list.d/newer.sources
# A mirror may have stopped following a suite that is not released yet.
echo 'Check-Valid-Until: no' >> /etc/apt/sources.list.d/newer.sources
apt-get update
mkdir /tmp/debs /tmp/root
cd /tmp/debs
# libexpat, because Debian's Python is linked to it and needs the one it was built with.
apt-get download "$python" "$python-minimal" "$python-dev" "$python-venv" "lib$python" \
    "lib$python-minimal" "lib$python-stdlib" "lib$python-dev" "libexpat1/$NEWER_SUITE" \
    "python3-pip-whl/$NEWER_SUITE"
for deb in *.deb; do dpkg --extract "$deb" /tmp/root; done

cd /tmp/root/usr
multiarch=$(basename "$(dirname lib/*/"lib$python.so.1")")
# Debian's marks, what a slim image leaves out, and absolute or crossed links.
rm -rf "lib/$python/EXTERNALLY-MANAGED" "lib/$python/sitecustomize.py" "lib/$python/LICENSE.txt" \
    "lib/$python/test" "lib/$python/idlelib" "lib/$multiarch"/*.a \
    "lib/$python"/config-*/*.a "lib/$python"/config-*/*.so
cp -a bin include /usr/local/
cp -a "lib/$python" /usr/local/lib/
cp -a "lib/$multiarch"/. /usr/local/lib/
ldconfig

# --- One Python for everybody: no Debian layout, no /usr in what it says about itself --------------
sed -i "s/prefix_scheme = 'posix_local'/prefix_scheme = 'posix_prefix'/" "$lib/sysconfig/__init__.py"
sed -i '/^    _ensurepip_is_disabled_in_debian_for_system()$/d' "$lib/ensurepip/__init__.py"
"$python" /recipe/relocate.py "$lib"
# The part of Debian's changes that is frozen into the interpreter looks for dist-packages.
mkdir "$lib/site-packages"
ln -s site-packages "$lib/dist-packages"

cd /usr/local/bin
ln -s "$python" python3
ln -s python3 python
ln -s "pydoc$VERSION" pydoc3
ln -s pydoc3 pydoc
ln -s "$python-config" python3-config
ln -s python3-config python-config

# --- pip from PyPI: Debian's own is changed to keep its hands off the system ------------------------
mkdir "$lib/ensurepip/_bundled"
if [ -f /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi
PYTHONPATH=$(echo /tmp/root/usr/share/python-wheels/pip-*.whl) \
    python -m pip download --no-cache-dir --no-deps --dest "$lib/ensurepip/_bundled" pip
python -m ensurepip
ln -s pip3 pip
find /usr/local -name __pycache__ -prune -exec rm -rf {} +
