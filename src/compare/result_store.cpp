#include "compare/result_store.h"

#include "core/durable.h"
#include "core/error.h"
#include "core/suggest.h"
#include "io/json_file.h"

namespace moelora::compare {
namespace {

namespace fs = std::filesystem;

Result read(const fs::path& file) {
  return result_from(io::read_json_object(file), file.string());
}

}  // namespace

std::optional<Result> ResultStore::find(const Cell& cell, bool with_test) {
  const auto is_enough = [&](const Result& result) {
    return !with_test || !result.tasks.empty() || !result.diverged.empty();
  };
  const auto known = known_.find(cell.key);
  if (known != known_.end() && is_enough(known->second)) return known->second;
  const fs::path file = file_of(cell.key);
  if (!fs::exists(file)) return std::nullopt;
  const Result& result = known_.insert_or_assign(cell.key, read(file)).first->second;
  return is_enough(result) ? std::optional(result) : std::nullopt;
}

void ResultStore::keep(const Result& result) {
  fs::create_directories(dir_);
  write_file_atomically(file_of(result.key), to_json(result).dump() + "\n");
  known_.insert_or_assign(result.key, result);
}

std::map<std::string, int64_t> ResultStore::codes() const {
  std::map<std::string, int64_t> counts;
  if (!fs::is_directory(dir_)) return counts;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir_)) {
    if (entry.path().extension() != ".json") continue;
    try {
      ++counts[read(entry.path()).identity.at("code").get<std::string>()];
    } catch (const Error&) {
      continue;
    } catch (const nlohmann::json::exception&) {
      continue;
    }
  }
  return counts;
}

std::vector<std::string> ResultStore::list_codes(const std::string& without) const {
  std::vector<std::string> listed;
  for (const auto& [code, count] : codes()) {
    if (code != without) listed.push_back(code + " (" + std::to_string(count) + " results)");
  }
  return listed;
}

std::string ResultStore::code_of(const std::string& beginning) const {
  std::vector<std::string> fitting;
  for (const auto& [code, count] : codes()) {
    if (code.starts_with(beginning)) fitting.push_back(code);
  }
  if (fitting.size() == 1) return fitting.front();
  throw Error(ErrorKind::kUsage,
              {.where = "--code",
               .problem = fitting.empty() ? "no result is of that code" : "results of several codes begin like that",
               .found = beginning,
               .expected = "one of " + list_names(list_codes())});
}

}  // namespace moelora::compare
