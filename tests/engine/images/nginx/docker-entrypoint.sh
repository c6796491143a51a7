#!/bin/sh
# Runs the executable files of /docker-entrypoint.d in order, then the command.
# *.envsh files are read into this shell, so that what they export reaches the ones that follow.
set -e

log() {
    if [ -z "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ]; then echo "$0: $*"; fi
}

case ${1:-} in
    nginx | nginx-debug)
        for file in /docker-entrypoint.d/*; do
            if [ ! -x "$file" ]; then
                log "ignoring $file: not executable"
                continue
            fi
            case $file in
                *.envsh)
                    log "sourcing $file"
                    # shellcheck source=/dev/null # known at run time only
                    . "$file"
                    ;;
                *.sh)
                    log "running $file"
                    "$file"
                    ;;
                *) log "ignoring $file: neither .sh nor .envsh" ;;
            esac
        done
        ;;
esac

exec "$@"
