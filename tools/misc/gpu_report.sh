#!/usr/bin/env bash
# Everything that needs a GPU: first the tests, then, if they pass, the measurements and
# the study. Stopped and started again, it goes on where it was.
# Usage: tools/misc/gpu_report.sh OUT
set -euo pipefail
if [[ $# != 1 ]]; then
    echo "Usage: tools/misc/gpu_report.sh OUT" >&2
    exit 2
fi
out=$(realpath -m "$1")
cd "$(dirname "$0")/../.."
mkdir -p "$out"
rm -f "$out/failed.txt"
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
# Of the study, at the end: before an hour of measurements.
if [[ ! -d data/fashion_mnist ]]; then
    echo "No data: tools/dataset_converters/prepare_fashion_mnist.py prepares it" >&2
    exit 1
fi
python -c 'import torch, sys; sys.exit(not torch.cuda.is_available() and "there is no GPU")'
nvidia-smi >"$out/nvidia-smi.txt"
python -m pytest -q tests/test_gpu.py tests/models/losses tests/engine | tee "$out/tests.txt"

measure() {
    local name=$1
    shift
    [[ -s $out/$name.json ]] && return
    echo "== $name: $*"
    timeout 600 python tools/analysis_tools/benchmark.py "$@" --json "$out/$name.json" \
        | tee "$out/$name.md" || echo "$name failed" | tee -a "$out/failed.txt"
}

measure step_resnet50 step configs/dhm/resnet50_dhm_8xb32_in1k.py --batch-size 256
measure step_resnet32 step configs/dhm/resnet32_dhm_1xb128_cifar100.py
measure train_resnet32 train configs/dhm/resnet32_dhm_1xb128_cifar100.py
measure train_resnet50 train configs/dhm/resnet50_dhm_8xb32_in1k.py --batch-size 256
measure loader_cifar loader configs/dhm/resnet32_dhm_1xb128_cifar100.py
measure loader_imagenet loader
measure infer infer configs/dhm/resnet50_dhm_8xb32_in1k.py --batch-size 256

python tools/analysis_tools/compare_methods.py --out "$out/fmnist" --seeds 5 --jobs 4 \
    --consistency 100 configs/plain/resnet20_1xb128_fmnist.py \
    configs/dsl/resnet20_dsl_1xb128_fmnist.py configs/dhm/resnet20_dhm_1xb128_fmnist.py
if [[ -e $out/failed.txt ]]; then
    cat "$out/failed.txt" >&2
    exit 1
fi
