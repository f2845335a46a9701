#include "train/kept_weights.h"

#include <utility>

#include "nn/kept_weight.h"
#include "nn/layer_linears.h"

namespace moelora::train {

KeptWeights::KeptWeights(const OpenRun& run, std::shared_ptr<io::HfModel> base)
    : base_(std::move(base)),
      form_(linear_form(run.saved.config.quantization)),
      dtype_(compute_dtype(run.saved.config.train.dtype)) {
  for (int64_t layer = 0; layer < run.base.shape.layers; ++layer) {
    for (const nn::LinearShape& linear : nn::layer_linears(run.base.shape, layer).all()) {
      linears_.insert(nn::stored_name(run.base.shape, *base_, linear.path + ".weight"));
    }
  }
}

at::Tensor KeptWeights::kept(const std::string& name, const at::Tensor& pristine) const {
  return nn::kept_weight(form_, name, pristine.to(dtype_));
}

at::Tensor KeptWeights::load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) {
  if (!linears_.contains(name)) return base_->load(name, shape, dtype);
  return kept(name, base_->load(name, shape, dtype_)).to(dtype);
}

}  // namespace moelora::train
