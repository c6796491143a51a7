#!/bin/sh
# Fills in the environment's variables in each template and writes the result as configuration.
set -eu

templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
output=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
filter=${NGINX_ENVSUBST_FILTER:-}

log() {
    if [ -z "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ]; then echo "$0: $*"; fi
}

[ -d "$templates" ] || exit 0
if [ ! -w "$output" ]; then
    log "ERROR: $templates exists, but $output is not writable"
    exit 0
fi

# Only variables that exist are replaced: nginx's own ($host, ...) look the same.
# shellcheck disable=SC2016 # the dollar is for envsubst
names=$(awk -v filter="$filter" 'BEGIN { for (name in ENVIRON) if (name ~ filter) printf "${%s} ", name }')

find -L "$templates" -type f -name "*$suffix" | sort | while read -r template; do
    relative=${template#"$templates/"}
    target=$output/${relative%"$suffix"}
    mkdir -p "$(dirname "$target")"
    log "$template -> $target"
    envsubst "$names" < "$template" > "$target"
done
