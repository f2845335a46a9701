// Two sequences of random tokens, by whose logits exported models are compared with their run.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/decoder.h"
#include "train/open_run.h"

namespace moelora::train {

struct Probe {
  nn::Rows rows;
  std::vector<int64_t> bounds = {0};
};

/// The same for every model of a vocabulary.
Probe make_probe(const nn::ModelConfig& shape);

/// [T, V] float32.
at::Tensor probe_logits(const nn::Decoder& decoder, const Probe& probe, const nn::RowContext* context);

/// Attaches the run's adapter to `decoder`, which isn't usable without it afterwards, and computes as task `task`.
at::Tensor adapted_logits(const OpenRun& run, nn::Decoder& decoder, const Probe& probe, int64_t task);

/// Of a model directory that holds all its weights, in float32.
at::Tensor directory_logits(const std::filesystem::path& dir, const Probe& probe);

double largest_difference(const at::Tensor& a, const at::Tensor& b);

}  // namespace moelora::train
