// A checkpoint of every kind of content, different for each step.
#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>

#include "io/checkpoint.h"
#include "io/test_files.h"

namespace moelora::io {

inline Checkpoint small_checkpoint(int64_t step) {
  const at::Tensor values = at::arange(1200, at::kFloat).mul(0.37).add(static_cast<double>(step));
  return {.step = step,
          .tensors = {{"exp_avg", values.neg()},
                      {"master.A", values.reshape({30, 40})},
                      {"steps", at::arange(3).add(step)}},
          .state = {{"cursor", step * 1000}, {"loss", 0.1 + 0.2}, {"task", "汉"}},
          .identity = {{"base", "abc"}, {"world_size", 1}}};
}

inline void expect_same(const Checkpoint& read, const Checkpoint& written) {
  EXPECT_EQ(read.step, written.step);
  EXPECT_EQ(read.state, written.state);
  EXPECT_EQ(read.identity, written.identity);
  ASSERT_EQ(read.tensors.size(), written.tensors.size());
  for (size_t i = 0; i < read.tensors.size(); ++i) {
    EXPECT_EQ(read.tensors[i].first, written.tensors[i].first);
    EXPECT_TRUE(at::equal(read.tensors[i].second, written.tensors[i].second)) << read.tensors[i].first;
  }
}

}  // namespace moelora::io
