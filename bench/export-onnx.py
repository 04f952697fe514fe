# Writes an encoder as ONNX into its own folder, as transformers.js wants it: onnx/model.onnx in float32, and
# onnx/model_quantized.onnx with int8 weights and activations (dynamic quantisation, as its "q8" files have).
#     pip install transformers torch onnx onnxscript onnxruntime
#     python bench/export-onnx.py ./all-MiniLM-L6-v2
import os, sys
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoModel

folder = sys.argv[1]
target = os.path.join(folder, 'onnx')
os.makedirs(target, exist_ok=True)
model = AutoModel.from_pretrained(folder, attn_implementation='eager').float().eval()
names = ['input_ids', 'attention_mask', 'token_type_ids']


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        return self.model(**dict(zip(names, inputs))).last_hidden_state


ones = torch.ones(2, 9, dtype=torch.int64)
axes = {name: {0: 'batch', 1: 'length'} for name in names + ['last_hidden_state']}
path = os.path.join(target, 'model.onnx')
torch.onnx.export(Encoder(), (ones, ones, ones * 0), path, input_names=names, output_names=['last_hidden_state'],
                  dynamic_axes=axes, opset_version=17, dynamo=False)
quantize_dynamic(path, os.path.join(target, 'model_quantized.onnx'), weight_type=QuantType.QInt8)
print(path)
