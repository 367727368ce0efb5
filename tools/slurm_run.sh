#!/usr/bin/env bash
# Usage: slurm_run.sh PARTITION JOB_NAME SCRIPT [arguments of SCRIPT]
# What slurm_train.sh and slurm_test.sh share. Environment: GPUS, GPUS_PER_NODE,
# CPUS_PER_TASK, SRUN_ARGS.
set -euo pipefail

PARTITION=$1
JOB_NAME=$2
SCRIPT=$3

# SRUN_ARGS holds several options: it must be split into words.
# shellcheck disable=SC2086
PYTHONPATH="$(dirname "$SCRIPT")/..:${PYTHONPATH:-}" exec srun -p "$PARTITION" \
    --job-name="$JOB_NAME" \
    --gres=gpu:"${GPUS_PER_NODE:-8}" \
    --ntasks="${GPUS:-8}" \
    --ntasks-per-node="${GPUS_PER_NODE:-8}" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "$SCRIPT" "${@:4}" --launcher=slurm
