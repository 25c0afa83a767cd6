#!/bin/sh
# Serve a vision-language model with vLLM for `trsllava caption --captioner openai`.
#
#     sh pipelines/serve_vllm.sh Qwen/Qwen2.5-VL-7B-Instruct
#
# One picture a request; 8,192 tokens hold prompt, picture and twice the longest answer, which a
# reply that was cut is asked for. The prefix cache is safe here: vLLM hashes the pictures into it.
set -eu
model=$1
shift
exec vllm serve "$model" --host 127.0.0.1 --port 8000 --max-model-len 8192 \
    --limit-mm-per-prompt '{"image": 1}' --generation-config vllm "$@"
