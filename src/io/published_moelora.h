// A checkpoint of the public MOELoRA implementation (github.com/liuqidong07/MOELoRA-peft): adapter_config.json and
// adapter_model.bin, or adapter_model.safetensors. Its names: `base_model.model.<module>.lora_A.loraA.<n>.mlp.weight`
// [r/N, in] and `….lora_B.loraB.<n>.mlp.weight` [out, r/N], each also without `mlp`; the shared gate
// `lora_gate.GateL.weight` [N, d_t] and `lora_task_embedding.weight` [task_num + 1, d_t].
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "io/peft_adapter.h"

namespace moelora::io {

struct PublishedMoelora {
  int64_t rank = 0;  // over all experts
  int64_t experts = 0;
  double alpha = 0;
  double dropout = 0;
  std::map<std::string, LoraPair> modules;  // experts stacked: A [r, in], B [out, r]; no scale, no gate in them
  at::Tensor task_embedding;                // [rows, d_t] float32; row = the id its data had
  at::Tensor gate;                          // [N, d_t] float32
};

/// Of the form with one gate for all layers ("MMOELORAS"), the only one that its code can save; the gates that each
/// layer also has there are unused and left out. Throws Error (kModel) naming file and key or tensor for anything else,
/// and for shapes that don't fit.
PublishedMoelora read_published_moelora(const std::filesystem::path& dir);

}  // namespace moelora::io
