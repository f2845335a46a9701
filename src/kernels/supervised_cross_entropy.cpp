#include "kernels/supervised_cross_entropy.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/work_timer.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Inputs {
  const at::Tensor &hidden, &head, &targets, &weights;
};
struct Wanted {
  bool hidden, head;
};
struct Sweep {
  at::Tensor loss, row_loss, dhidden, dhead;
};

/// Losses of a chunk's rows into row_loss [c]; where `gradient`, the logits [c, V] become weight * d nll / d logit.
void chunk_rows(at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights, double softcap, bool gradient,
                const at::Tensor& row_loss) {
  if (has_passes(logits)) {
    const int64_t classes = logits.size(1);
    with_element(logits, [&]<class E>() {
      using C = Compute<E>;
      at::parallel_for(0, logits.size(0), 1, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          mutable_elements<C>(row_loss)[row] = passes_for<E>().cross_entropy_row(
              mutable_elements<E>(logits) + row * classes, classes, elements<int64_t>(targets)[row],
              elements<C>(weights)[row], softcap, gradient);
        }
      });
    });
    return;
  }
  at::Tensor wide = logits.to(at::kFloat), bent;
  if (softcap > 0) {
    bent = wide.div(softcap).tanh();
    wide = bent.mul(softcap);
  }
  const at::Tensor lse = wide.logsumexp({1}, true), target = targets.unsqueeze(1);
  row_loss.copy_(lse.sub(wide.gather(1, target)).squeeze(1));
  if (!gradient) return;
  at::Tensor d = wide.sub(lse).exp();
  d.scatter_add_(1, target, at::empty(target.sizes(), d.options()).fill_(-1));
  d.mul_(weights.unsqueeze(1));
  if (softcap > 0) d.mul_(bent.mul(bent).neg().add(1));
  logits.copy_(d);
}

Sweep sweep(const Inputs& in, Wanted wanted, const CrossEntropyOptions& options) {
  const WorkTimer timer(Work::kLoss);
  const int64_t rows = in.hidden.size(0), classes = in.head.size(0), width = in.hidden.size(1);
  const at::TensorOptions wide = in.hidden.options().dtype(compute_type(in.hidden));
  Sweep out{.row_loss = at::empty({rows}, wide)};
  if (wanted.hidden) out.dhidden = at::empty({rows, width}, in.hidden.options());
  if (wanted.head) out.dhead = at::zeros({classes, width}, wide);
  const int64_t row_bytes = std::max<int64_t>(1, classes * in.hidden.element_size());
  const int64_t most = std::clamp<int64_t>(options.chunk_bytes / row_bytes, 1, std::max<int64_t>(rows, 1));
  const int64_t chunks = (rows + most - 1) / most, size = chunks == 0 ? 0 : (rows + chunks - 1) / chunks;
  const at::Tensor buffer = at::empty({size, classes}, in.hidden.options()), transposed = in.head.t();
  for (int64_t begin = 0; begin < rows; begin += size) {
    const int64_t count = std::min(size, rows - begin);
    const auto part = [&](const at::Tensor& x) { return x.narrow(0, begin, count); };
    at::Tensor logits = buffer.narrow(0, 0, count);
    at::mm_out(logits, part(in.hidden), transposed);
    chunk_rows(logits, part(in.targets), part(in.weights), options.softcap, wanted.hidden || wanted.head,
               part(out.row_loss));
    if (wanted.hidden) {
      at::Tensor dhidden = part(out.dhidden);
      at::mm_out(dhidden, logits, in.head);
    }
    if (wanted.head) {
      if (out.dhead.scalar_type() == logits.scalar_type()) {
        out.dhead.addmm_(logits.t(), part(in.hidden));
      } else {
        out.dhead.add_(at::mm(logits.t(), part(in.hidden)));
      }
    }
  }
  if (wanted.head) out.dhead = out.dhead.to(in.head.scalar_type());
  out.loss = out.row_loss.to(at::kDouble).mul(in.weights.to(at::kDouble)).sum().to(wide.dtype().toScalarType());
  return out;
}

struct CrossEntropy : torch::autograd::Function<CrossEntropy> {
  static variable_list forward(AutogradContext* ctx, const at::Tensor& hidden, const at::Tensor& head,
                               const at::Tensor& targets, const at::Tensor& weights,
                               const CrossEntropyOptions& options) {
    const Sweep out = sweep({hidden, head, targets, weights}, {hidden.requires_grad(), head.requires_grad()}, options);
    ctx->save_for_backward({out.dhidden, out.dhead});
    ctx->mark_non_differentiable({out.row_loss});
    return {out.loss, out.row_loss};
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    variable_list saved = ctx->get_saved_variables();
    const at::Tensor& scale = gradients[0];
    for (at::Tensor& gradient : saved) {
      // A loss that is summed as it is arrives with gradient 1: nothing to multiply.
      const bool as_is = scale.device().is_cpu() && scale.item<double>() == 1;
      if (gradient.defined() && !as_is) gradient = gradient.mul(scale.to(gradient.scalar_type()));
    }
    return {saved[0], saved[1], at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

void check(const Inputs& in) {
  constexpr const char* kName = "supervised_cross_entropy";
  require(in.hidden.dim() == 2, kName, "hidden [K, H]", in.hidden);
  require(
      in.head.dim() == 2 && in.head.size(1) == in.hidden.size(1) && in.head.scalar_type() == in.hidden.scalar_type(),
      kName, "head [V, H] of hidden's dtype", in.head);
  require(in.targets.dim() == 1 && in.targets.size(0) == in.hidden.size(0) && in.targets.scalar_type() == at::kLong,
          kName, "targets [K] int64", in.targets);
  require(in.weights.dim() == 1 && in.weights.size(0) == in.hidden.size(0), kName, "weights [K]", in.weights);
  if (!in.targets.device().is_cpu()) return;
  for (int64_t row = 0; row < in.targets.size(0); ++row) {
    const int64_t target = elements<int64_t>(in.targets)[row];
    if (target >= 0 && target < in.head.size(0)) continue;
    throw Error(ErrorKind::kData, {.where = "supervised row " + std::to_string(row),
                                   .problem = "a target token outside the vocabulary",
                                   .found = std::to_string(target),
                                   .expected = "0 to " + std::to_string(in.head.size(0) - 1)});
  }
}

}  // namespace

SupervisedLoss supervised_cross_entropy(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                                        const at::Tensor& weights, const CrossEntropyOptions& options) {
  const at::Tensor x = hidden.contiguous(), target = targets.contiguous();
  const at::Tensor weight = weights.to(compute_type(hidden)).contiguous();
  check({x, head, target, weight});
  if (wants_gradient({&hidden, &head})) {
    const variable_list out = CrossEntropy::apply(x, head, target, weight, options);
    return {out[0], out[1]};
  }
  const Sweep out = sweep({x, head, target, weight}, {false, false}, options);
  return {out.loss, out.row_loss};
}

}  // namespace moelora::kernels
