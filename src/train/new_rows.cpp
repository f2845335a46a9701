#include "train/new_rows.h"

#include <map>
#include <set>

#include "core/error.h"
#include "data/encode.h"
#include "data/sources.h"

namespace moelora::train {
namespace {

/// Whether sources that leave the task out give its files. Throws where they give them to another task: the files would
/// be read twice.
bool are_given(const config::DataConfig& data, const std::vector<data::SourceFile>& files, const std::string& task) {
  std::set<std::filesystem::path> own;
  for (const data::SourceFile& file : files) own.insert(data::real_path(file.path));
  bool given = false;
  for (const data::SourceEntry& entry : data::list_sources(data, {}).files) {
    if (!own.contains(data::real_path(entry.path))) continue;
    const std::string theirs = entry.task.value_or(entry.fallback_task.value_or(""));
    if (theirs == task) {
      given = true;
    } else if (!data::is_left_out(data, theirs)) {
      throw Error(ErrorKind::kUsage, {.where = "--data",
                                      .problem = "the run has this file already",
                                      .found = entry.path.string() + (theirs.empty() ? "" : " of task " + theirs),
                                      .expected = "rows of the new task alone"});
    }
  }
  return given;
}

}  // namespace

NewRows read_new_rows(const OpenRun& run, const std::filesystem::path& path, const std::string& task, int64_t index) {
  const config::RunConfig& config = run.saved.config;
  NewRows rows{.source = config::DataSource{.path = std::filesystem::absolute(path).string(), .task = task}};
  if (!std::filesystem::is_directory(path)) rows.source->split = "train";
  config::DataConfig data = config.data;
  data.sources = {*rows.source};
  data.tasks.clear();
  std::map<std::string, config::TaskConfig> settings = config.tasks;
  std::erase_if(settings, [&](const auto& entry) { return entry.first != task; });
  const data::Dataset dataset =
      data::load_dataset(data, settings, {.splits = {data::Split::kTrain}, .unnamed_files_are = data::Split::kTrain});
  rows.files = dataset.files;
  rows.task_type = dataset.tasks.front().task_type();
  if (are_given(config.data, rows.files, task)) rows.source.reset();

  const data::EncodedRows encoded = data::encode_rows(dataset, data::Split::kTrain, *run.renderer, {});
  data::EncodedRows own(index + 1);
  for (int64_t i = 0; i < encoded.size(); ++i) own.append(index, encoded.row(i), encoded.prompt(i), encoded.answer(i));
  if (own.size() == 0) {
    throw Error(ErrorKind::kData, {.where = path.string(),
                                   .problem = "no row of the task is left: all are longer than data.max_length",
                                   .expected = "rows of at most " + std::to_string(data.max_length) + " tokens"});
  }
  rows.batches = data::pack_range(own, 0, own.size(), {.tokens_per_batch = config.train.tokens_per_batch});
  return rows;
}

}  // namespace moelora::train
