#!/bin/sh
# Installs the checkout's Python client into an empty environment, and logs a run with it from a plain script.
set -eu
env=$1
root=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
python3 -m venv "$env"
"$env/bin/pip" install --quiet -e "$root"
work=$(mktemp -d)
# What catches the store up after the run would write into the folder again.
trap 'while pgrep -f "$work" >/dev/null; do sleep 0.1; done; rm -rf "$work"' EXIT
cd "$work"
"$env/bin/python" - <<'PY'
import waddle

with waddle.init(project="packaging", name="plain script") as run:
    run.log_param("lr", 0.1)
    for step in range(10):
        run.log_metric("loss", step, 1.0 / (step + 1))
PY
"$env/bin/waddle" ls --json | grep -q '"plain script"'
"$env/bin/python" -m waddle --version
"$env/bin/python" -m waddle.waddle_cli --version
