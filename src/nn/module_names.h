// What a family's files call the decoder's modules: Hugging Face module paths, without ".weight". The defaults are
// Llama's.
#pragma once

#include <string>
#include <vector>

namespace moelora::nn {

struct ModuleNames {
  std::string embedding = "model.embed_tokens";
  std::string layers = "model.layers";  // what follows below, of layer 3: "model.layers.3.<name>"
  std::string final_norm = "model.norm";
  std::string head = "lm_head";
  std::string input_norm = "input_layernorm";
  std::string attention_output_norm;  // before the residual addition; empty: none
  std::string mlp_norm = "post_attention_layernorm";
  std::string mlp_output_norm;  // before the residual addition; empty: none
  std::vector<std::string> qkv = {"self_attn.q_proj", "self_attn.k_proj",
                                  "self_attn.v_proj"};  // or one that is all three
  std::string q_norm = "self_attn.q_norm";
  std::string k_norm = "self_attn.k_norm";
  std::string o = "self_attn.o_proj";
  std::vector<std::string> gate_up = {"mlp.gate_proj", "mlp.up_proj"};  // or one that is both, gate first
  std::string down = "mlp.down_proj";
};

/// A prefix of module paths as transformers has it now, and one that files may have instead.
struct StoredPrefix {
  std::string module;
  std::string file;
};

}  // namespace moelora::nn
