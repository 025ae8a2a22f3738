#!/bin/sh
# First start: a cluster with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, then the scripts of
# INIT_SCRIPTS. Every start: the server, in the foreground.
set -eu
data=${PGDATA:-/var/lib/postgresql/data}
bin=${POSTGRES_PROGRAMS:-$(echo /usr/lib/postgresql/*/bin)}
scripts=${INIT_SCRIPTS:-/docker-entrypoint-initdb.d}
sockets=${SOCKETS:-/var/run/postgresql}
user=${RUN_AS:-postgres}
as() { setpriv --reuid="$user" --regid="$user" --clear-groups "$@"; }

if [ ! -s "$data/PG_VERSION" ]; then
    install -d -o "$user" -g "$user" -m 700 "$data" "$sockets"
    secret=$(mktemp)
    printf '%s\n' "$POSTGRES_PASSWORD" >"$secret"
    chown "$user" "$secret"
    as "$bin/initdb" --pgdata="$data" --username="$POSTGRES_USER" --pwfile="$secret" \
        --auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 --locale=C.UTF-8
    rm "$secret"
    echo 'host all all all scram-sha-256' >>"$data/pg_hba.conf"
    as "$bin/pg_ctl" --pgdata="$data" --wait start \
        --options="-c listen_addresses='' -c unix_socket_directories=$sockets"
    as "$bin/createdb" --host="$sockets" --username="$POSTGRES_USER" "$POSTGRES_DB"
    for script in "$scripts"/*.sql; do
        as "$bin/psql" --host="$sockets" --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
            --set=ON_ERROR_STOP=1 --file="$script"
    done
    as "$bin/pg_ctl" --pgdata="$data" --wait stop
fi
exec setpriv --reuid="$user" --regid="$user" --clear-groups \
    "$bin/postgres" -D "$data" -c "listen_addresses=*" -c "unix_socket_directories=$sockets"
