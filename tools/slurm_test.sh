#!/usr/bin/env bash
# Usage: [GPUS=8 GPUS_PER_NODE=8 CPUS_PER_TASK=5 SRUN_ARGS=...] \
#        tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [options of test.py]
set -euo pipefail
if [ $# -lt 4 ]; then sed -n '2,3s/^# //p' "$0" >&2; exit 2; fi

# With CDPATH, cd prints where it goes.
TOOLS=$(CDPATH= cd -- "$(dirname "$0")" && pwd)
exec "$TOOLS/slurm_run.sh" "$1" "$2" "$TOOLS/test.py" "$3" "$4" "${@:5}"
