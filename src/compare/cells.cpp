#include "compare/cells.h"

#include "config/load.h"
#include "core/hash.h"

namespace moelora::compare {

std::vector<Variant> variants(const config::CompareSpec& spec) {
  std::vector<Variant> all;
  for (const config::CompareMethod& method : spec.methods) {
    std::vector<Variant> made = {{.name = method.name,
                                  .method = method.name,
                                  .overrides = spec.shared,
                                  .reference = method.name == spec.reference}};
    made.front().overrides.insert(made.front().overrides.end(), method.overrides.begin(), method.overrides.end());
    for (const config::Sweep& sweep : spec.sweeps) {
      std::vector<Variant> wider;
      for (const Variant& variant : made) {
        for (const config::SweepPoint& point : sweep) {
          Variant one = variant;
          one.name += ", " + point.name;
          one.sweep += (one.sweep.empty() ? "" : ", ") + point.name;
          one.overrides.insert(one.overrides.end(), point.overrides.begin(), point.overrides.end());
          wider.push_back(std::move(one));
        }
      }
      made = std::move(wider);
    }
    all.insert(all.end(), made.begin(), made.end());
  }
  return all;
}

Cell make_cell(const config::CompareSpec& spec, const Variant& variant, const std::string& learning_rate, uint64_t seed,
               const Surroundings& surroundings) {
  std::vector<std::string> overrides = variant.overrides;
  if (!learning_rate.empty()) overrides.push_back("train.learning_rate=" + learning_rate);
  overrides.push_back("train.seed=" + std::to_string(seed));
  Cell cell{.variant = variant,
            .learning_rate = learning_rate,
            .seed = seed,
            .config = config::load_config(spec.config, overrides)};
  train::Identity run = surroundings.run;
  run.config = train::config_identity(cell.config);
  cell.identity = run.to_json();
  cell.identity["code"] = surroundings.code;
  cell.identity["test_rows"] = spec.test_rows;
  cell.key = hash_hex(cell.identity.dump());
  cell.config.output = (spec.output / "runs" / cell.key).string();
  return cell;
}

}  // namespace moelora::compare
