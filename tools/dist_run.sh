#!/usr/bin/env bash
# Usage: dist_run.sh SCRIPT GPUS [arguments of SCRIPT]
# What dist_train.sh and dist_test.sh share. Environment: NNODES, NODE_RANK, MASTER_ADDR,
# PORT.
set -euo pipefail

SCRIPT=$1
GPUS=$2

# yapf, which MMEngine imports, puts its grammar into a cache at its first start ever; of
# processes that start together one may read it half written (yapf 0.43).
python -c 'import yapf.yapflib.yapf_api'
PYTHONPATH="$(dirname "$SCRIPT")/..:${PYTHONPATH:-}" exec python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$SCRIPT" "${@:3}" --launcher pytorch
