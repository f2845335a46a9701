// What llama.cpp calls a base's linears and in which order it keeps their rows, as its convert_hf_to_gguf.py makes them
// of the model's files: an adapter in GGUF must have the same.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "nn/model_config.h"

namespace moelora::io {

/// One of llama.cpp's linears: one of the model's files, or some of its rows.
struct GgufLinear {
  std::string name;  // "blk.3.attn_q"
  at::Tensor rows;   // [n] int64: those of the files' linear, in llama.cpp's order; undefined: all as they are
};

/// A linear of the model's files and what it is for llama.cpp.
struct GgufModule {
  int64_t out = 0;
  int64_t in = 0;
  std::vector<GgufLinear> parts;  // whose rows together are all of it, each once
};

struct GgufNames {
  std::string architecture;                   // general.architecture
  std::map<std::string, GgufModule> modules;  // by path: "model.layers.3.self_attn.q_proj"
};

/// Throws Error(kModel) for a family that isn't known here, with what to do instead.
GgufNames gguf_names(const nn::ModelConfig& shape);

}  // namespace moelora::io
