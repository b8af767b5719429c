# The commands of the guide whose values inventory/ml35 holds. They are parsed, not run.

# G1.1
ssh vrsoft@ML35

# G1.2
cd /mnt/data1/work/sm-ai-v2/sm-ai-v2-backend

# G2.1
export CUDA_VISIBLE_DEVICES=0,1
export TOKENIZERS_PARALLELISM=false

# G3.1, with the log of G3.3
nohup python -m vllm.entrypoints.openai.api_server \
    --model /mnt/data1/work/model_vllm/gpt_model \
    --tokenizer /mnt/data1/work/model_vllm/gpt_model \
    --served-model-name gpt-oss-120b \
    --tensor-parallel-size 2 \
    --gpu-memory-utilization 0.90 \
    --max-model-len 131072 \
    --max-num-batched-tokens 4096 \
    --port 8000 \
    --host 0.0.0.0 \
    --disable-custom-all-reduce \
    --enable-auto-tool-choice \
    --tool-call-parser openai \
    > /mnt/data1/work/sm-ai-v2/logs/vllm.log 2>&1 &

# G5.2
source .venv/bin/activate
uvicorn src.api.main:app --host 0.0.0.0 --port 8080 --reload
