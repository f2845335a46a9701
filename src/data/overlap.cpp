#include "data/overlap.h"

#include <map>
#include <set>
#include <unordered_map>

#include "core/error.h"
#include "core/hash.h"

namespace moelora::data {
namespace {

std::string row_key(const Row& row) {
  Hasher hasher;
  if (row.is_text()) {
    hasher.update(row.answer);
    return "t" + hasher.hex();
  }
  for (const Message& message : row.messages) {
    if (message.role == "system") continue;
    hasher.update(message.role);
    hasher.update(std::string_view("\0", 1));
    hasher.update(message.content);
    hasher.update(std::string_view("\0", 1));
  }
  return "p" + hasher.hex();
}

std::string group_key(const Row& row) {
  return row.group;
}

/// Overlaps of one kind; key_of gives what must not be shared, empty for nothing.
void find(const Dataset& dataset, OverlapKind kind, std::string (*key_of)(const Row&), std::vector<Overlap>& overlaps) {
  std::unordered_map<std::string, std::map<size_t, const Row*>> training;  // key -> the first row of each task
  for (size_t task = 0; task < dataset.tasks.size(); ++task) {
    for (const Row& row : dataset.tasks[task].of(Split::kTrain)) {
      const std::string key = key_of(row);
      if (!key.empty()) training[key].emplace(task, &row);
    }
  }
  for (const Task& test_task : dataset.tasks) {
    std::set<std::string> seen;
    std::map<size_t, Overlap> by_train_task;
    for (const Row& row : test_task.of(Split::kTest)) {
      const std::string key = key_of(row);
      const auto found = training.find(key);
      if (found == training.end() || !seen.insert(key).second) continue;
      for (const auto& [task, train_row] : found->second) {
        const auto [entry, added] = by_train_task.try_emplace(
            task, Overlap{kind, dataset.tasks[task].name, test_task.name, 0, train_row->where(), row.where()});
        ++entry->second.count;
      }
    }
    for (auto& [task, overlap] : by_train_task) overlaps.push_back(std::move(overlap));
  }
}

}  // namespace

std::vector<Overlap> find_overlap(const Dataset& dataset) {
  std::vector<Overlap> overlaps;
  find(dataset, OverlapKind::kRow, row_key, overlaps);
  find(dataset, OverlapKind::kGroup, group_key, overlaps);
  return overlaps;
}

std::string describe(const Overlap& overlap) {
  const std::string what = overlap.kind == OverlapKind::kRow ? "row" : "group";
  return std::to_string(overlap.count) + " " + what + (overlap.count == 1 ? "" : "s") + " of the test set of `" +
         overlap.test_task + "` stand" + (overlap.count == 1 ? "s" : "") + " in the training set of `" +
         overlap.train_task + "` (first: " + overlap.test_where + " and " + overlap.train_where + ")";
}

std::vector<std::string> check_overlap(const Dataset& dataset) {
  std::vector<std::string> messages;
  std::vector<Error> errors;
  for (const Overlap& overlap : find_overlap(dataset)) {
    messages.push_back(describe(overlap));
    errors.push_back(
        Error(ErrorKind::kData, {"data", messages.back(), "", "", "set data.allow_overlap where that is meant"}));
  }
  if (!errors.empty() && !dataset.config.allow_overlap) throw ErrorList(std::move(errors));
  return messages;
}

}  // namespace moelora::data
