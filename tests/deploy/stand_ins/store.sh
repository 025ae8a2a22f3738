#!/bin/sh
# moto's S3 on the gateway's port. A bucket named health makes GET /health answer 200, as the
# gateway does. The arguments are the gateway's; there is nothing here to give them to.
set -eu
programs=${MOTO_PROGRAMS:-/opt/moto/bin}
"$programs/moto_server" --host 0.0.0.0 --port 7070 &
server=$!
trap 'kill "$server"' TERM INT
until "$programs/python" -c 'import urllib.request as r
r.urlopen(r.Request("http://127.0.0.1:7070/health", method="PUT"), timeout=3)' 2>/dev/null; do
    sleep 1
done
wait "$server"
