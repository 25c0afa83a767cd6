#!/bin/sh
# Caption an archive on one machine with a served model, then index it. Run it again to go on.
#
#     sh pipelines/caption.sh /data/archive MODEL http://127.0.0.1:8000/v1 [more options of caption]
set -eu
archive=$1 model=$2 url=$3
shift 3
code=0
trsllava caption "$archive" --captioner openai --model "$model" --base-url "$url" \
    --concurrency 64 "$@" || code=$?
# 3: finished, and some images are quarantined with their reason; they can wait.
[ "$code" = 0 ] || [ "$code" = 3 ] || exit "$code"
trsllava index
trsllava status
