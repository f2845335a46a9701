#include "train/metrics_log.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "core/error.h"
#include "core/log.h"

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

MetricsLog::MetricsLog(const std::filesystem::path& run_dir)
    : path_(run_dir / "metrics.jsonl"), lines_(path_), events_(run_dir) {}

nlohmann::json MetricsLog::rewind_to(int64_t size) {
  if (lines_.size() < size) {
    log_warn(path_.string() + " is shorter than when the checkpoint was written: the lines that are missing stay so");
  }
  lines_.rewind_to(std::min(size, lines_.size()));
  nlohmann::json history = nlohmann::json::array();
  std::ifstream file(path_);
  int64_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    nlohmann::json record = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!record.is_object() || !record.contains("step") || !record.contains("epoch")) {
      throw Error(ErrorKind::kModel,
                  {.where = path_.string() + ":" + std::to_string(number), .problem = "not a line that a run wrote"});
    }
    record.erase("time");
    history.push_back(std::move(record));
  }
  return history;
}

void MetricsLog::write(const ordered_json& record, const std::map<std::string, double>& more) {
  lines_.append(record.dump());
  std::map<std::string, double> scalars = more;
  collect_scalars(record, "", scalars);
  scalars.erase("step");
  events_.write(record.at("step").get<int64_t>(), scalars);
}

int64_t MetricsLog::sync() {
  lines_.sync();
  return lines_.size();
}

}  // namespace moelora::train
