// A base's weights as a run computed with them where it kept its linears in fewer bits: what a merged model of the
// same answers is made of.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "io/hf_model.h"
#include "train/open_run.h"

namespace moelora::train {

class KeptWeights : public nn::WeightSource {
 public:
  /// `run` must outlive this; `base` is its base's directory.
  KeptWeights(const OpenRun& run, std::shared_ptr<io::HfModel> base);

  bool contains(const std::string& name) const override { return base_->contains(name); }
  /// Linears dequantised, everything else as it is.
  at::Tensor load(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype) override;
  void forget(const std::string& name) override { base_->forget(name); }

  /// What the linear `name`, stored as `pristine` [out, in], was in the run: [out, in] float32.
  at::Tensor kept(const std::string& name, const at::Tensor& pristine) const;

  /// The weights of every layer's linears, as HfModel::load takes their names.
  const std::set<std::string>& linears() const { return linears_; }

 private:
  std::shared_ptr<io::HfModel> base_;
  nn::LinearForm form_;
  at::ScalarType dtype_;
  std::set<std::string> linears_;
};

}  // namespace moelora::train
