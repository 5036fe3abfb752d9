#!/bin/sh
# Makes the keys that docker-compose.yml mounts, each in a file of its own in deploy/secrets (or in the
# folder that is given). What is there already is left alone: run it again after deleting one to get a
# new one. Prints names, never keys.
set -eu

folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
# Containers run as users of their own and read the files through a mount: the files have to be
# readable, so the folder is closed instead.
chmod 700 "$folder"

random() { # 32 bytes as hexadecimal
    od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

keep() { # write standard input to a file, unless it is there
    if [ -e "$folder/$1" ]; then
        cat > /dev/null
        echo "kept  $1"
    else
        cat > "$folder/$1.part"
        chmod 444 "$folder/$1.part"
        mv "$folder/$1.part" "$folder/$1"
        echo "made  $1"
    fi
}

# The key of the Qdrant server.
random | keep RAG_STORE__API_KEY
# The key of the language model's server (profiles cpu and gpu).
random | keep RAG_GENERATION__API_KEY
# Yours: the key to administer `rag serve` with.
random | keep admin-key
# Prometheus's, to read /metrics with.
random | keep metrics-key
# Grafana's user admin.
random | keep grafana-password
# Who may ask `rag serve`, and for what.
printf '{"%s": "admin", "%s": "metrics"}\n' \
    "$(cat "$folder/admin-key")" "$(cat "$folder/metrics-key")" | keep RAG_SERVE__API_KEYS
