#include "nn/kept_weight.h"

#include "nn/int8_linear.h"
#include "nn/nf4_linear.h"

namespace moelora::nn {

at::Tensor kept_weight(LinearForm form, const std::string& name, const at::Tensor& weight) {
  switch (form) {
    case LinearForm::kPlain:
    case LinearForm::kPacked:
    case LinearForm::kPackedForward:
      break;
    case LinearForm::kInt8:  // products are of whole numbers, scaled in float32
      return Int8Linear(name, weight, {}).float_weight();
    case LinearForm::kNf4:  // products are in the compute dtype
      return kernels::dequantize(kernels::quantize_nf4(weight, name), weight.scalar_type()).to(at::kFloat);
  }
  return weight.to(at::kFloat);
}

}  // namespace moelora::nn
