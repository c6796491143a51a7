#!/usr/bin/env bash
# Replace the running release by the files of this folder, without downtime: bash release.sh
# To roll back, check out the earlier commit and run it again.
set -euo pipefail

# Replace the application while the next containers get its requests. Then remove these.
replace() {
    docker compose up --detach --no-deps --wait app
    # The proxy finds the address of the replaced application within a second.
    sleep 2
    docker compose exec -T proxy rm /tmp/next
    docker compose rm --stop --force next
}

# Complete a release that was interrupted while its next containers got the requests.
if docker compose exec -T proxy test -e /tmp/next 2>/dev/null; then
    replace
fi

# Start the next release beside the running one, from an image of its own. If it does not become
# healthy, remove it: nothing else has changed{% if cookiecutter.database == "postgresql" %} but the schema{% endif %}.
docker compose build next
{%- if cookiecutter.database == "postgresql" %}
# The running release works with the next one's schema, too: see docs/database.md.
docker compose run --rm --no-deps -T next flask db upgrade
{%- endif %}
docker compose up --detach --no-deps --wait next || {
    docker compose logs --no-log-prefix --tail 100 next
    docker compose rm --stop --force next
    echo "The next release does not start: see its log above. The running release is unchanged." >&2
    exit 1
}
# The same contents, from the cache. A failure here stops the release before it gets requests.
docker compose build app proxy

# From now on, the next release gets all new requests. The running release completes those that it has.
docker compose exec -T proxy touch /tmp/next
replace

# The proxy is replaced only if its configuration or a static file has changed.
docker compose up --detach --wait
