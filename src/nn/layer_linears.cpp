#include "nn/layer_linears.h"

namespace moelora::nn {

std::vector<LinearShape> LayerLinears::all() const {
  std::vector<LinearShape> linears;
  for (const std::vector<LinearShape>* group : {&qkv, &o, &gate_up, &down})
    linears.insert(linears.end(), group->begin(), group->end());
  return linears;
}

LayerLinears layer_linears(const ModelConfig& c, int64_t layer) {
  const ModuleNames& names = c.names;
  const std::string prefix = names.layers + "." + std::to_string(layer) + ".";
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  LayerLinears linears;
  if (names.qkv.size() == 1) {
    linears.qkv = {{prefix + names.qkv[0], q + 2 * kv, c.hidden_size, c.qkv_bias}};
  } else {
    linears.qkv = {{prefix + names.qkv.at(0), q, c.hidden_size, c.qkv_bias},
                   {prefix + names.qkv.at(1), kv, c.hidden_size, c.qkv_bias},
                   {prefix + names.qkv.at(2), kv, c.hidden_size, c.qkv_bias}};
  }
  linears.o = {{prefix + names.o, c.hidden_size, q, c.o_bias}};
  if (names.gate_up.size() == 1) {
    linears.gate_up = {{prefix + names.gate_up[0], 2 * c.intermediate_size, c.hidden_size, c.mlp_bias}};
  } else {
    linears.gate_up = {{prefix + names.gate_up.at(0), c.intermediate_size, c.hidden_size, c.mlp_bias},
                       {prefix + names.gate_up.at(1), c.intermediate_size, c.hidden_size, c.mlp_bias}};
  }
  linears.down = {{prefix + names.down, c.hidden_size, c.intermediate_size, c.mlp_bias}};
  return linears;
}

}  // namespace moelora::nn
