// The one table of the configuration's keys: it drives parsing, range checks, overrides, the resolved YAML and
// docs/config.md. Internal to src/config.
#pragma once

#include <string>
#include <vector>

#include "config/run_config.h"
#include "config/value.h"

namespace moelora::config {

/// One key. `Struct` is what it belongs to: RunConfig (key dotted from the root), TaskConfig or DataSource (key within
/// one entry).
template <typename Struct>
struct Field {
  std::string key;
  Slot (*slot)(Struct&);
  Range range;
  std::string description;
};

/// In the order of the documentation and of the resolved YAML; the keys of one section stand together.
const std::vector<Field<RunConfig>>& run_fields();
const std::vector<Field<TaskConfig>>& task_fields();
const std::vector<Field<DataSource>>& source_fields();

/// The field of that key, or null.
template <typename Struct>
const Field<Struct>* find_field(const std::vector<Field<Struct>>& fields, const std::string& key) {
  for (const Field<Struct>& field : fields) {
    if (field.key == key) return &field;
  }
  return nullptr;
}

/// Adds what is known of a key that isn't ours: the name we have for what another program calls `key` ("lora_rank"), or
/// the section that a key of ours belongs to. Empty where nothing is known.
std::string foreign_key_hint(const std::string& key);

/// "did you mean `adapter.experts`?" for a mistyped last part of any key; "" where none is near.
std::string similar_key_hint(const std::string& key);

}  // namespace moelora::config
