"""The reference side of `npm run test:real`: transformers in float32, its tokenizers, Jinja2, sentence-transformers'
recipe. Reads one task as JSON from standard input and prints the answer as one line of JSON after "@answer ".
Needs torch, transformers, accelerate, gguf and jinja2.
"""

import json
import os
import sys


def load(path, config=False):
    """Folder and arguments of from_pretrained for a folder or a GGUF file."""
    if os.path.isdir(path):
        return path, {}
    return os.path.dirname(path), {"gguf_file": os.path.basename(path)}


def logits(task):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(task["threads"])
    folder, options = load(task["path"])
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()
    with torch.no_grad():
        rows = model(torch.tensor([task["tokens"]])).logits[0]
    best = rows.argmax(-1).tolist()
    return {"last": rows[-1].tolist(), "best": best}


def tokens(task):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(os.path.join(task["path"], "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in task["texts"]]


def template(task):
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message):
        raise ValueError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = refuse
    compiled = environment.from_string(task["source"])
    return [
        compiled.render(messages=messages, add_generation_prompt=True, tools=None, **task["special"])
        for messages in task["conversations"]
    ]


def embeddings(task):
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(task["threads"])
    tokenizer = AutoTokenizer.from_pretrained(task["path"])
    model = AutoModel.from_pretrained(task["path"], dtype=torch.float32).eval()
    found = []
    for text in task["texts"]:
        inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=task["maxTokens"])
        with torch.no_grad():
            hidden = model(**inputs).last_hidden_state[0]
        vector = hidden.mean(0) if task["pooling"] == "mean" else hidden[0]
        found.append((vector / vector.norm()).tolist())
    return found


if __name__ == "__main__":
    request = json.load(sys.stdin)
    answer = {"logits": logits, "tokens": tokens, "template": template, "embeddings": embeddings}[request["task"]](request)
    print("@answer " + json.dumps(answer))
