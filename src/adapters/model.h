// A decoder and, where a method attached some, its adapters: what is trained, evaluated and generated with.
#pragma once

#include <memory>

#include "adapters/adapter_set.h"
#include "nn/decoder.h"

namespace moelora::adapters {

struct Model {
  std::unique_ptr<nn::Decoder> decoder;
  std::unique_ptr<AdapterSet>
      adapters;  // null for the base alone and for method `full`; its projections live in the decoder

  /// The decoder as it was before adapters were attached; the model is empty afterwards.
  std::unique_ptr<nn::Decoder> take_base() {
    if (adapters) adapters->detach(*decoder);
    adapters.reset();
    return std::move(decoder);
  }

  /// The context of packed rows for Decoder::forward; null without adapters. Throws as AdapterSet::rows does.
  std::unique_ptr<nn::RowContext> rows(const PackedTasks& packed) const {
    return adapters ? adapters->rows(packed) : nullptr;
  }
};

}  // namespace moelora::adapters
