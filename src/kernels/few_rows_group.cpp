#include <ATen/ops/empty.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "kernels/few_rows.h"
#include "kernels/row_scale_row.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {

FewRowsGroup::FewRowsGroup(std::vector<FewRowsLinear> linears, at::Tensor a, double scale) : scale_(scale) {
  const auto check = [](bool fits, const char* expected, const at::Tensor& found) {
    require(fits, "FewRowsGroup", expected, found);
  };
  check(!linears.empty(), "at least one linear", {});
  type_ = linears.front().w.scalar_type();
  in_ = linears.front().w.size(1);
  const auto is_matrix = [&](const at::Tensor& x, int64_t columns) {
    return x.dim() == 2 && x.size(1) == columns && x.stride(1) == 1 && x.scalar_type() == type_ && has_passes(x);
  };
  int64_t adapters = 0;
  for (const FewRowsLinear& linear : linears) {
    const auto& [w, bias, b] = linear;
    check(is_matrix(w, in_), "w [out, in]", w);
    check(!bias.defined() || (bias.is_contiguous() && bias.numel() == w.size(0) && bias.scalar_type() == type_),
          "bias [out]", bias);
    if (b.defined()) {
      if (adapters == 0) rank_ = b.size(-1);
      check(is_matrix(b, rank_) && b.size(0) == w.size(0), "b [out, R]", b);
    }
    linears_.push_back({.w = w.const_data_ptr(),
                        .bias = bias.defined() ? bias.const_data_ptr() : nullptr,
                        .b = b.defined() ? b.const_data_ptr() : nullptr,
                        .out = w.size(0),
                        .w_stride = w.stride(0),
                        .b_stride = b.defined() ? b.stride(0) : 0,
                        .column = b.defined() ? adapters++ * rank_ : 0});
    out_ += w.size(0);
    for (const at::Tensor& kept : {w, bias, b}) kept_.push_back(kept);
  }
  columns_ = adapters * rank_;
  check(a.defined() == (adapters > 0), "a where there is a b", a);
  if (!a.defined()) return;
  check(is_matrix(a, in_) && a.size(0) == columns_, "a [n R, in]", a);
  a_ = a.const_data_ptr();
  a_stride_ = a.stride(0);
  kept_.push_back(std::move(a));
}

bool FewRowsGroup::takes(const at::Tensor& x) const {
  return x.device().is_cpu() && x.dim() == 2 && x.size(0) <= kFewRows && x.size(1) == in_ && x.stride(1) == 1 &&
         x.scalar_type() == type_ && !wants_gradient({&x});
}

/// One product of a group with x, in the group's element type.
template <class E>
class FewRowsGroupPass {
 public:
  using C = Compute<E>;

  FewRowsGroupPass(const FewRowsGroup& group, const at::Tensor& x, const at::Tensor& m, std::vector<at::Tensor>& y)
      : group_(group), x_(elements<E>(x)), x_stride_(x.stride(0)), rows_(x.size(0)) {
    for (const at::Tensor& output : y) y_.push_back(mutable_elements<E>(output));
    if (group.columns_ == 0) return;
    z_.resize(rows_ * group.columns_);
    u_.resize(z_.size());
    const int64_t threads = at::get_num_threads();
    part_ = std::max((group.columns_ + threads - 1) / threads, std::min<int64_t>(group.columns_, kLeastPart));
    parts_ = (group.columns_ + part_ - 1) / part_;
    if (m.defined()) {
      m_ = elements<C>(m);
      m_width_ = m.size(1);
      m_stride_ = m.stride(0);
    } else {
      ones_.assign(group.columns_, C{1});
      m_ = ones_.data();
      m_width_ = group.columns_;
    }
  }

  void run() {
    parallel_rows(group_.out_, group_.in_, [&](int64_t begin, int64_t end) {
      if (parts_ > 0) help_with_u(begin);
      int64_t start = 0;  // of a linear's outputs among those of all
      for (size_t i = 0; i < group_.linears_.size(); ++i) {
        const int64_t out = group_.linears_[i].out;
        const int64_t from = std::max(begin - start, int64_t{0}), to = std::min(end - start, out);
        if (from < to) multiply(i, from, to - from);
        start += out;
      }
    });
  }

 private:
  static constexpr int64_t kLeastPart = 4;  // rows of A
  static constexpr int64_t kAskedBytes = 16384;
  static constexpr int kSpins = 2000;  // some 20 to 50 us

  /// Takes parts of u until none is left, and returns once all are there: what isn't is in the hands of a thread that
  /// waits for nothing. Meanwhile the first weights of the caller's own outputs, from `begin` on, are on their way.
  void help_with_u(int64_t begin) {
    for (int64_t part = next_++; part < parts_; part = next_++) {
      const int64_t first = part * part_, outs = std::min(part_, group_.columns_ - first);
      passes_for<E>().few_rows(term(group_.a_, group_.a_stride_, first), {}, rows_, nullptr, z_.data() + first,
                               group_.columns_, outs);
      if (++done_ < parts_) continue;
      weigh();
      ready_.test_and_set(std::memory_order_release);
      ready_.notify_all();
    }
    ask_for_weights(begin);
    // The system's wait and waking take longer than what is left of u.
    for (int spin = 0; spin < kSpins && !ready_.test(std::memory_order_acquire); ++spin) pause();
    ready_.wait(false, std::memory_order_acquire);
  }

  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  void ask_for_weights(int64_t begin) const {
    for (const FewRowsGroup::Linear& linear : group_.linears_) {
      if (begin < linear.out) {
        const auto* from = reinterpret_cast<const char*>(static_cast<const E*>(linear.w) + begin * linear.w_stride);
        const auto* end = reinterpret_cast<const char*>(static_cast<const E*>(linear.w) + linear.out * linear.w_stride);
        for (end = std::min(end, from + kAskedBytes); from < end; from += 64) __builtin_prefetch(from, 0, 2);
        return;
      }
      begin -= linear.out;
    }
  }

  void weigh() {
    for (int64_t row = 0; row < rows_; ++row) {
      const int64_t start = row * group_.columns_;
      row_scale_row<E>(z_.data() + start, m_ + row * m_stride_, static_cast<C>(group_.scale_), u_.data() + start,
                       group_.columns_, m_width_);
    }
  }

  /// `outs` outputs of linear i from `first` on.
  void multiply(size_t i, int64_t first, int64_t outs) {
    const FewRowsGroup::Linear& linear = group_.linears_[i];
    FewRowsTerm<E> adapter;
    if (linear.b) {
      adapter = {u_.data() + linear.column, group_.columns_, static_cast<const E*>(linear.b) + first * linear.b_stride,
                 linear.b_stride, group_.rank_};
    }
    passes_for<E>().few_rows(term(linear.w, linear.w_stride, first), adapter, rows_,
                             linear.bias ? static_cast<const E*>(linear.bias) + first : nullptr, y_[i] + first,
                             linear.out, outs);
  }

  FewRowsTerm<E> term(const void* w, int64_t stride, int64_t first) const {
    return {x_, x_stride_, static_cast<const E*>(w) + first * stride, stride, group_.in_};
  }

  const FewRowsGroup& group_;
  const E* x_;
  int64_t x_stride_, rows_;
  std::vector<E*> y_;
  std::vector<E> z_, u_;  // x A^T and u, [T, n R]
  const C* m_ = nullptr;
  int64_t m_width_ = 0, m_stride_ = 0;
  std::vector<C> ones_;
  int64_t part_ = 0, parts_ = 0;  // rows of A a part, how many parts
  std::atomic<int64_t> next_{0}, done_{0};
  std::atomic_flag ready_;
};

std::vector<at::Tensor> FewRowsGroup::multiply(const at::Tensor& x, const at::Tensor& m) const {
  require(takes(x), "FewRowsGroup", "x [T <= 8, in]", x);
  const at::Tensor weights = m.defined() && columns_ > 0 ? m.contiguous() : at::Tensor();
  require(!weights.defined() || (weights.dim() == 2 && weights.size(0) == x.size(0) && weights.size(1) > 0 &&
                                 columns_ % weights.size(1) == 0 && weights.scalar_type() == compute_type(x)),
          "FewRowsGroup", "m [T, n R] or [T, R]", weights);
  std::vector<at::Tensor> y;
  y.reserve(linears_.size());
  for (const Linear& linear : linears_) y.push_back(at::empty({x.size(0), linear.out}, x.options()));
  with_element(x, [&]<class E>() { FewRowsGroupPass<E>(*this, x, weights, y).run(); });
  return y;
}

}  // namespace moelora::kernels
