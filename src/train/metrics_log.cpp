#include "train/metrics_log.h"

namespace moelora::train {
namespace {

using nlohmann::ordered_json;

void collect_scalars(const ordered_json& value, const std::string& tag, std::map<std::string, double>& scalars) {
  if (value.is_number()) {
    scalars[tag] = value.get<double>();
  } else if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) collect_scalars(inner, tag.empty() ? key : tag + "/" + key, scalars);
  }
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& run_dir) : lines_(run_dir / "metrics.jsonl"), events_(run_dir) {}

void MetricsLog::write(const ordered_json& record) {
  lines_.append(record.dump());
  std::map<std::string, double> scalars;
  collect_scalars(record, "", scalars);
  scalars.erase("step");
  events_.write(record.at("step").get<int64_t>(), scalars);
}

int64_t MetricsLog::sync() {
  lines_.sync();
  return lines_.size();
}

}  // namespace moelora::train
