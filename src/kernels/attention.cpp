#include "kernels/attention.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include <numeric>
#include <vector>

#include "core/work_timer.h"
#include "kernels/attention_composite.h"
#include "kernels/tensor_args.h"

namespace moelora::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kRowBlock = 96;   // query rows of one forward task
constexpr int64_t kDecodeRows = 4;  // up to this many new positions, the heads that share keys are rows of one task

/// One sequence of a call: query rows [begin, begin + queries) are the last of `length` positions held by k and v.
struct Sequence {
  int64_t begin, queries, length;
  at::Tensor k, v;  // [length, Hkv, D]
};

template <class E>
HeadRows<E> head_rows(const at::Tensor& x, int64_t head) {
  return {elements<E>(x) + head * x.stride(1), x.stride(0)};
}

AttentionShape shape_of(const at::Tensor& q, const AttentionOptions& options) {
  return {.head_size = q.size(2), .scale = options.scale, .softcap = options.softcap, .window = options.window};
}

at::Tensor dense_heads(const at::Tensor& x) {
  return x.size(2) <= 1 || x.stride(2) == 1 ? x : x.contiguous();
}

/// Indices of `costs`, dearest first, so that the last tasks to start are short.
std::vector<int64_t> by_cost(const std::vector<int64_t>& costs) {
  std::vector<int64_t> order(costs.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return costs[a] > costs[b]; });
  return order;
}

template <class E>
QueryRows<E> query_rows(E* data, const at::Tensor& x, int64_t begin, int64_t head, int64_t group) {
  return {data + begin * x.stride(0) + head * x.stride(1), x.stride(0), x.stride(1), group};
}

/// A few new positions against a cache: packing and attention in one task, all query heads of the key/value head
/// stacked.
template <class E>
void decode(const at::Tensor& q, const Sequence& sequence, const AttentionShape& shape, const at::Tensor& out,
            int64_t kv_head) {
  const Passes<E>& pass = passes_for<E>();
  const int64_t group = q.size(1) / sequence.k.size(1);
  // Keys that no query's window reaches are left out.
  const int64_t offset = sequence.length - sequence.queries;
  const int64_t skip = shape.window > 0 ? std::max<int64_t>(0, offset - shape.window + 1) : 0,
                keys = sequence.length - skip;
  static thread_local Scratch scratch;
  const int64_t packed_bytes = (pass.attention_packed_bytes(keys, shape.head_size) + 63) / 64 * 64;
  char* packed = static_cast<char*>(scratch.get(packed_bytes + pass.attention_forward_scratch_bytes(shape.head_size)));
  const auto seen = [&](const at::Tensor& x) {
    const HeadRows<E> rows = head_rows<E>(x, kv_head);
    return HeadRows<E>{rows.data + skip * rows.row_stride, rows.row_stride};
  };
  pass.attention_pack(seen(sequence.k), seen(sequence.v), keys, shape.head_size, packed);
  pass.attention_forward(shape, query_rows(elements<E>(q), q, sequence.begin, kv_head * group, group),
                         query_rows(mutable_elements<E>(out), out, sequence.begin, kv_head * group, group), {}, 0,
                         sequence.queries * group, offset - skip, keys, packed, packed + packed_bytes);
}

/// out [T, Hq, D]; lse [T, Hq] in the compute type, or undefined. Every sequence has at least one query.
template <class E>
void forward(const at::Tensor& q, const std::vector<Sequence>& sequences, const AttentionShape& shape,
             const at::Tensor& out, const at::Tensor& lse) {
  const WorkTimer timer(Work::kAttention);
  if (sequences.empty()) return;
  const Passes<E>& pass = passes_for<E>();
  const int64_t kv_heads = sequences[0].k.size(1), heads = q.size(1), group = heads / kv_heads;
  struct Pack {
    int64_t sequence, kv_head, offset;
  };
  struct Block {
    int64_t pack, head, begin;
  };
  std::vector<Pack> packs, decodes;
  std::vector<Block> blocks;
  std::vector<int64_t> costs;
  int64_t bytes = 0;
  for (int64_t s = 0; s < static_cast<int64_t>(sequences.size()); ++s) {
    const Sequence& sequence = sequences[s];
    const bool few = !lse.defined() && sequence.queries <= kDecodeRows;
    for (int64_t kv_head = 0; kv_head < kv_heads; ++kv_head) {
      if (few) {
        decodes.push_back({s, kv_head, 0});
        continue;
      }
      packs.push_back({s, kv_head, bytes});
      bytes += (pass.attention_packed_bytes(sequence.length, shape.head_size) + 63) / 64 * 64;
      for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
        for (int64_t begin = 0; begin < sequence.queries; begin += kRowBlock) {
          blocks.push_back({static_cast<int64_t>(packs.size()) - 1, head, begin});
          const int64_t stop = std::min(begin + kRowBlock, sequence.queries);
          costs.push_back((stop - begin) * (sequence.length - sequence.queries + stop));
        }
      }
    }
  }
  parallel_tasks(static_cast<int64_t>(decodes.size()), [&](int64_t task) {
    decode<E>(q, sequences[decodes[task].sequence], shape, out, decodes[task].kv_head);
  });
  static thread_local Scratch packed_scratch;
  char* packed = static_cast<char*>(packed_scratch.get(bytes));
  parallel_tasks(static_cast<int64_t>(packs.size()), [&](int64_t task) {
    const Sequence& sequence = sequences[packs[task].sequence];
    pass.attention_pack(head_rows<E>(sequence.k, packs[task].kv_head), head_rows<E>(sequence.v, packs[task].kv_head),
                        sequence.length, shape.head_size, packed + packs[task].offset);
  });
  const std::vector<int64_t> order = by_cost(costs);
  parallel_tasks(static_cast<int64_t>(blocks.size()), [&](int64_t task) {
    static thread_local Scratch scratch;
    const Block& block = blocks[order[task]];
    const Sequence& sequence = sequences[packs[block.pack].sequence];
    QueryRows<Compute<E>> sums{};
    if (lse.defined()) sums = {mutable_elements<Compute<E>>(lse) + sequence.begin * heads + block.head, heads, 0, 1};
    pass.attention_forward(shape, query_rows(elements<E>(q), q, sequence.begin, block.head, 1),
                           query_rows(mutable_elements<E>(out), out, sequence.begin, block.head, 1), sums, block.begin,
                           std::min(block.begin + kRowBlock, sequence.queries), sequence.length - sequence.queries,
                           sequence.length, packed + packs[block.pack].offset,
                           scratch.get(pass.attention_forward_scratch_bytes(shape.head_size)));
  });
}

/// A task is one sequence, one key/value head and a run of its query heads; where a key/value head is split over
/// several tasks, their dk and dv are partial sums that are added up in order afterwards.
template <class E>
void backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
              const at::Tensor& out, const at::Tensor& lse, std::span<const int64_t> cu_seqlens,
              const AttentionShape& shape, const at::Tensor& dq, const at::Tensor& dk, const at::Tensor& dv) {
  const WorkTimer timer(Work::kAttention);
  using C = Compute<E>;
  const Passes<E>& pass = passes_for<E>();
  const int64_t heads = q.size(1), kv_heads = k.size(1), group = heads / kv_heads,
                width = pass.attention_padded_size(shape.head_size);
  struct Task {
    int64_t begin, length, kv_head, first_head, last_head, partial;  // partial: where its dk starts, in C's; dv follows
  };
  int64_t pairs = 0;
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) pairs += cu_seqlens[s + 1] > cu_seqlens[s] ? kv_heads : 0;
  if (pairs == 0) return;
  const int64_t splits = std::clamp<int64_t>((2 * at::get_num_threads() + pairs - 1) / pairs, 1, group);
  std::vector<Task> tasks;
  std::vector<int64_t> costs;
  int64_t numbers = 0;
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    const int64_t length = cu_seqlens[s + 1] - cu_seqlens[s];
    if (length == 0) continue;
    for (int64_t kv_head = 0; kv_head < kv_heads; ++kv_head) {
      for (int64_t split = 0; split < splits; ++split) {
        const int64_t first = kv_head * group + group * split / splits,
                      last = kv_head * group + group * (split + 1) / splits;
        tasks.push_back({cu_seqlens[s], length, kv_head, first, last, numbers});
        costs.push_back(length * length * (last - first));
        numbers += 2 * width * pass.attention_padded_rows(length);
      }
    }
  }
  const bool split = splits > 1;
  static thread_local Scratch partial_scratch;
  C* partials = split ? static_cast<C*>(partial_scratch.get(numbers * static_cast<int64_t>(sizeof(C)))) : nullptr;
  const auto write = [&](const Task& task, const C* dk_sum, const C* dv_sum) {
    const int64_t at = task.begin * dk.stride(0) + task.kv_head * dk.stride(1);
    pass.narrow(dk_sum, width, mutable_elements<E>(dk) + at, dk.stride(0), task.length, shape.head_size);
    pass.narrow(dv_sum, width, mutable_elements<E>(dv) + at, dv.stride(0), task.length, shape.head_size);
  };
  const std::vector<int64_t> order = by_cost(costs);
  parallel_tasks(static_cast<int64_t>(tasks.size()), [&](int64_t index) {
    static thread_local Scratch scratch;
    const Task& task = tasks[order[index]];
    const int64_t sums = width * pass.attention_padded_rows(task.length);
    const int64_t own = split ? 0 : 2 * sums * static_cast<int64_t>(sizeof(C));
    char* memory =
        static_cast<char*>(scratch.get(own + pass.attention_backward_scratch_bytes(task.length, shape.head_size)));
    C* dk_sum = split ? partials + task.partial : reinterpret_cast<C*>(memory);
    C* dv_sum = dk_sum + sums;
    std::fill(dk_sum, dk_sum + 2 * sums, C{0});
    const auto from = [&](const at::Tensor& x, int64_t head) {
      const HeadRows<E> rows = head_rows<E>(x, head);
      return HeadRows<E>{rows.data + task.begin * rows.row_stride, rows.row_stride};
    };
    for (int64_t head = task.first_head; head < task.last_head; ++head) {
      pass.attention_backward(shape, from(q, head), from(k, task.kv_head), from(v, task.kv_head), from(out, head),
                              from(dout, head), elements<C>(lse) + task.begin * heads + head, heads, task.length,
                              mutable_elements<E>(dq) + task.begin * dq.stride(0) + head * dq.stride(1), dq.stride(0),
                              dk_sum, dv_sum, memory + own);
    }
    if (!split) write(task, dk_sum, dv_sum);
  });
  if (!split) return;
  parallel_tasks(static_cast<int64_t>(tasks.size()) / splits, [&](int64_t pair) {
    const Task& task = tasks[pair * splits];
    const int64_t sums = width * pass.attention_padded_rows(task.length);
    C* total = partials + task.partial;
    for (int64_t other = 1; other < splits; ++other) {
      const C* part = partials + tasks[pair * splits + other].partial;
      for (int64_t i = 0; i < 2 * sums; ++i) total[i] += part[i];
    }
    write(task, total, total + sums);
  });
}

std::vector<Sequence> sequences_of(const at::Tensor& k, const at::Tensor& v, std::span<const int64_t> cu_seqlens) {
  std::vector<Sequence> sequences;
  for (size_t s = 0; s + 1 < cu_seqlens.size(); ++s) {
    const int64_t begin = cu_seqlens[s], length = cu_seqlens[s + 1] - begin;
    if (length > 0)
      sequences.push_back({begin, length, length, k.narrow(0, begin, length), v.narrow(0, begin, length)});
  }
  return sequences;
}

struct PackedAttention : torch::autograd::Function<PackedAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            std::span<const int64_t> cu_seqlens, const AttentionOptions& options) {
    const at::Tensor out = at::empty(q.sizes(), q.options());
    const at::Tensor lse = at::empty({q.size(0), q.size(1)}, q.options().dtype(compute_type(q)));
    with_element(
        q, [&]<class E>() { kernels::forward<E>(q, sequences_of(k, v, cu_seqlens), shape_of(q, options), out, lse); });
    ctx->save_for_backward({q, k, v, out, lse});
    ctx->saved_data["cu_seqlens"] = std::vector<int64_t>(cu_seqlens.begin(), cu_seqlens.end());
    ctx->saved_data["scale"] = options.scale;
    ctx->saved_data["softcap"] = options.softcap;
    ctx->saved_data["window"] = options.window;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const at::Tensor dout = dense_heads(gradients[0]);
    const AttentionOptions options{.scale = ctx->saved_data["scale"].toDouble(),
                                   .softcap = ctx->saved_data["softcap"].toDouble(),
                                   .window = ctx->saved_data["window"].toInt()};
    const std::vector<int64_t> cu_seqlens = ctx->saved_data["cu_seqlens"].toIntVector();
    const at::Tensor dq = at::empty(q.sizes(), q.options()), dk = at::empty(k.sizes(), k.options());
    const at::Tensor dv = at::empty(v.sizes(), v.options());
    with_element(q, [&]<class E>() {
      kernels::backward<E>(dout, q, k, v, saved[3], saved[4], cu_seqlens, shape_of(q, options), dq, dk, dv);
    });
    return {dq, dk, dv, at::Tensor(), at::Tensor()};
  }
};

void check_boundaries(const at::Tensor& q, std::span<const int64_t> cu_seqlens, const char* kernel) {
  bool right = !cu_seqlens.empty() && cu_seqlens.front() == 0 && cu_seqlens.back() == q.size(0);
  for (size_t s = 0; right && s + 1 < cu_seqlens.size(); ++s) right = cu_seqlens[s] <= cu_seqlens[s + 1];
  require(right, kernel, "cu_seqlens from 0, ascending, to the rows of q", q);
}

void check_options(const at::Tensor& q, const AttentionOptions& options, const char* kernel) {
  require(options.scale > 0 && options.softcap >= 0 && options.window >= 0, kernel,
          "scale > 0, softcap >= 0, window >= 0", q);
}

void check_heads(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const char* kernel) {
  require(k.dim() == 3 && k.size(2) == q.size(2) && k.scalar_type() == q.scalar_type(), kernel,
          "k [T, Hkv, D] for q [T, Hq, D]", k);
  require(k.size(1) > 0 && q.size(1) % k.size(1) == 0, kernel, "Hkv that divides Hq", k);
  require(v.sizes() == k.sizes() && v.scalar_type() == k.scalar_type(), kernel, "v like k", v);
}

}  // namespace

at::Tensor packed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            std::span<const int64_t> cu_seqlens, const AttentionOptions& options) {
  constexpr const char* kName = "packed_attention";
  require(q.dim() == 3, kName, "q [T, Hq, D]", q);
  check_heads(q, k, v, kName);
  check_options(q, options, kName);
  require(k.size(0) == q.size(0), kName, "as many key rows as query rows", k);
  check_boundaries(q, cu_seqlens, kName);
  if (!has_passes(q)) {
    std::vector<at::Tensor> parts;
    for (const Sequence& sequence : sequences_of(k, v, cu_seqlens)) {
      parts.push_back(
          composite_attention(q.narrow(0, sequence.begin, sequence.queries), sequence.k, sequence.v, options));
    }
    return parts.empty() ? at::empty(q.sizes(), q.options()) : at::cat(parts, 0);
  }
  const at::Tensor from = dense_heads(q), keys = dense_heads(k), values = dense_heads(v);
  if (wants_gradient({&q, &k, &v})) return PackedAttention::apply(from, keys, values, cu_seqlens, options);
  const at::Tensor out = at::empty(q.sizes(), q.options());
  with_element(
      q, [&]<class E>() { forward<E>(from, sequences_of(keys, values, cu_seqlens), shape_of(q, options), out, {}); });
  return out;
}

at::Tensor cached_attention(const at::Tensor& q, std::span<const int64_t> cu_seqlens_q,
                            std::span<const at::Tensor> keys, std::span<const at::Tensor> values,
                            const AttentionOptions& options) {
  constexpr const char* kName = "cached_attention";
  const at::NoGradGuard no_grad;
  require(q.dim() == 3, kName, "q [T, Hq, D]", q);
  check_options(q, options, kName);
  check_boundaries(q, cu_seqlens_q, kName);
  require(keys.size() + 1 == cu_seqlens_q.size() && values.size() == keys.size(), kName,
          "keys and values of every sequence", q);
  const at::Tensor from = dense_heads(q), out = at::empty(q.sizes(), q.options());
  std::vector<Sequence> sequences;
  for (size_t s = 0; s < keys.size(); ++s) {
    const int64_t begin = cu_seqlens_q[s], queries = cu_seqlens_q[s + 1] - begin;
    check_heads(q, keys[s], values[s], kName);
    require(queries <= keys[s].size(0), kName, "keys of every position, the queries' own included", keys[s]);
    require(keys[s].size(1) == keys[0].size(1), kName, "as many key/value heads in every sequence", keys[s]);
    if (queries == 0) continue;
    if (has_passes(q)) {
      sequences.push_back({begin, queries, keys[s].size(0), dense_heads(keys[s]), dense_heads(values[s])});
    } else {
      out.narrow(0, begin, queries)
          .copy_(composite_attention(q.narrow(0, begin, queries), keys[s], values[s], options));
    }
  }
  if (has_passes(q)) with_element(q, [&]<class E>() { forward<E>(from, sequences, shape_of(q, options), out, {}); });
  return out;
}

}  // namespace moelora::kernels
