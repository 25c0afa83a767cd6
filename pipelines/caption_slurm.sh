#!/bin/sh
# Caption an archive as a Slurm array: every task works on its share of the lots, on a disk that all
# nodes see. A task that is cut off by its time limit stops in good order and is queued again.
#
#     sbatch --array=1-8 pipelines/caption_slurm.sh /data/archive MODEL_FOLDER /data/trsllava-store
#
#SBATCH --job-name=trsllava
#SBATCH --gpus-per-task=1
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@60
#SBATCH --requeue
set -eu
archive=$1 model=$2 store=$3
trsllava caption "$archive" --captioner transformers --model "$model" --store "$store" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_MAX" --concurrency 8 &
worker=$!
trap 'kill -TERM $worker' TERM
code=0
wait "$worker" || code=$?
if [ "$code" -gt 128 ] && kill -0 "$worker" 2>/dev/null; then
    code=0
    wait "$worker" || code=$?
fi
# 130: interrupted; what was finished is kept, so the task is simply queued again.
[ "$code" != 130 ] || scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
[ "$code" != 3 ] || code=0
exit "$code"
