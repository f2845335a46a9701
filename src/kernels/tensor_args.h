// What the kernels' tensor sides share: which tensors the CPU passes take, typed pointers into them, and parallel loops
// whose results don't depend on scheduling. Internal to this folder.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <sstream>
#include <string>

#include "core/error.h"
#include "kernels/passes.h"

namespace moelora::kernels {

/// True where the CPU passes take tensors like this one; elsewhere the ATen composite runs.
inline bool has_passes(const at::Tensor& x) {
  return x.device().is_cpu() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kDouble);
}

/// Calls f.template operator()<E>() with the element type of x. Requires has_passes(x).
template <class F>
decltype(auto) with_element(const at::Tensor& x, F&& f) {
  switch (x.scalar_type()) {
    case at::kBFloat16:
      return f.template operator()<Bf16>();
    case at::kDouble:
      return f.template operator()<double>();
    default:
      return f.template operator()<float>();
  }
}

template <class E>
const E* elements(const at::Tensor& x) {
  return x.defined() ? static_cast<const E*>(x.const_data_ptr()) : nullptr;
}
template <class E>
E* mutable_elements(const at::Tensor& x) {
  return x.defined() ? static_cast<E*>(x.mutable_data_ptr()) : nullptr;
}

/// The dtype the passes compute in for tensors like x.
inline at::ScalarType compute_type(const at::Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// x itself where its inner dimensions (all but the first) are dense, else a contiguous copy: rows may be strided.
inline at::Tensor dense_rows(const at::Tensor& x) {
  int64_t expected = 1;
  for (int64_t dim = x.dim() - 1; dim > 0; --dim) {
    if (x.size(dim) != 1 && x.stride(dim) != expected) return x.contiguous();
    expected *= x.size(dim);
  }
  return x;
}

inline bool wants_gradient(std::initializer_list<const at::Tensor*> tensors) {
  return at::GradMode::is_enabled() && std::any_of(tensors.begin(), tensors.end(), [](const at::Tensor* x) {
           return x->defined() && x->requires_grad();
         });
}

/// Throws Error (internal) unless the condition holds: shapes and dtypes that only a bug upstream can get wrong.
inline void require(bool condition, const char* kernel, const char* expected, const at::Tensor& found) {
  if (condition) return;
  std::ostringstream shape;
  if (found.defined()) {
    shape << found.toString() << ' ' << found.sizes();
  } else {
    shape << "no tensor";
  }
  throw Error(
      ErrorKind::kInternal,
      {.where = kernel, .problem = "a tensor of the wrong shape or type", .found = shape.str(), .expected = expected});
}

/// f(begin, end) over parts of [0, rows) in parallel, about `work` element operations a row; each row is computed as in
/// a serial loop.
template <class F>
void parallel_rows(int64_t rows, int64_t work, const F& f) {
  at::parallel_for(0, rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, work)), f);
}

/// f(task) for every task of [0, count), each taken by the next free thread: tasks must be independent of one another.
template <class F>
void parallel_tasks(int64_t count, const F& f) {
  std::atomic<int64_t> next{0};
  at::parallel_for(0, std::min<int64_t>(count, at::get_num_threads()), 1, [&](int64_t, int64_t) {
    for (int64_t task = next++; task < count; task = next++) f(task);
  });
}

/// Memory for intermediates that a thread keeps from call to call, 64-byte aligned; it only grows. Contents are
/// undefined.
class Scratch {
 public:
  void* get(int64_t bytes) {
    if (bytes > bytes_) {
      memory_.reset();
      memory_.reset(static_cast<char*>(::operator new (static_cast<size_t>(bytes), std::align_val_t{64})));
      bytes_ = bytes;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(char* memory) const { ::operator delete (memory, std::align_val_t{64}); }
  };
  std::unique_ptr<char, Free> memory_;
  int64_t bytes_ = 0;
};

}  // namespace moelora::kernels
