// One row of row_scale, for those who have it in their hands already. Internal to this folder.
#pragma once

#include "kernels/passes.h"

namespace moelora::kernels {

/// y [width] = z [width] * m [rank] * factor, m repeated for each of the width / rank.
template <class E>
void row_scale_row(const E* z, const Compute<E>* m, Compute<E> factor, E* y, int64_t width, int64_t rank) {
  for (int64_t i = 0; i < width; i += rank) passes_for<E>().row_scale_forward(z + i, m, factor, y + i, rank);
}

}  // namespace moelora::kernels
