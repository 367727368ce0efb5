#!/usr/bin/env bash
# Usage: [NNODES=2 NODE_RANK=0 MASTER_ADDR=host PORT=29500] \
#        tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of test.py]
set -euo pipefail
if [ $# -lt 3 ]; then sed -n '2,3s/^# //p' "$0" >&2; exit 2; fi

# With CDPATH, cd prints where it goes.
TOOLS=$(CDPATH= cd -- "$(dirname "$0")" && pwd)
exec "$TOOLS/dist_run.sh" "$TOOLS/test.py" "$3" "$1" "$2" "${@:4}"
