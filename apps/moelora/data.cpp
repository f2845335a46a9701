// moelora data inspect PATH...
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "config/load.h"
#include "core/error.h"
#include "data/inspect.h"
#include "train/setup.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct InspectFlags {
  std::vector<std::string> paths;
  std::string model;
  int64_t render = 0;
  bool json = false;
};

/// A configuration file's data, or the paths themselves as sources.
config::RunConfig data_config(const InspectFlags& own) {
  if (own.paths.size() == 1 && (own.paths[0].ends_with(".yaml") || own.paths[0].ends_with(".yml")))
    return config::load_config(own.paths[0]);
  config::RunConfig config;
  for (const std::string& path : own.paths) config.data.sources.push_back({.path = path});
  return config;
}

nlohmann::ordered_json report_json(const data::InspectReport& report) {
  nlohmann::ordered_json json = {{"unit", report.in_tokens ? "tokens" : "characters"}, {"hash", report.hash}};
  for (const data::SourceFile& file : report.files) {
    json["files"].push_back({{"path", file.path},
                             {"split", data::split_name(file.split)},
                             {"format", file.format},
                             {"rows", file.rows},
                             {"bad_rows", file.bad_rows},
                             {"licence", file.licence},
                             {"hash", file.hash}});
  }
  for (const data::LengthReport& length : report.lengths) {
    json["lengths"].push_back({{"task", length.task},
                               {"split", data::split_name(length.split)},
                               {"rows", length.rows},
                               {"shortest", length.shortest},
                               {"median", length.median},
                               {"p90", length.p90},
                               {"p99", length.p99},
                               {"longest", length.longest},
                               {"longest_answer", length.longest_answer},
                               {"too_long", length.too_long},
                               {"supervised_share", length.supervised_share},
                               {"histogram", length.histogram}});
  }
  for (const data::Overlap& overlap : report.overlaps) json["overlaps"].push_back(data::describe(overlap));
  for (const std::string& warning : report.warnings) json["warnings"].push_back(warning);
  return json;
}

void run_inspect(const InspectFlags& own) {
  config::RunConfig config = data_config(own);
  if (!own.model.empty()) config.model = own.model;
  data::Dataset dataset =
      data::load_dataset(config.data, config.tasks, {.required = {}, .unnamed_files_are = data::Split::kTrain});
  train::bring_task_prompts(config, dataset);
  std::shared_ptr<data::PromptRenderer> renderer;
  if (!config.model.empty())
    renderer = train::make_renderer(train::read_base_files(config.model), config.chat_template);
  const data::InspectReport report = data::inspect(dataset, renderer.get());
  if (own.json) {
    std::cout << report_json(report).dump(2) << "\n";
  } else {
    std::cout << data::format_report(report);
  }
  if (own.render == 0) return;
  if (!renderer) {
    throw Error(ErrorKind::kUsage, {.where = "--render",
                                    .problem = "rendering needs the model's tokenizer and template",
                                    .expected = "--model DIR"});
  }
  for (size_t t = 0; t < dataset.tasks.size(); ++t) {
    const std::vector<data::Row>& rows = dataset.tasks[t].of(data::Split::kTrain);
    for (int64_t i = 0; i < std::min<int64_t>(own.render, static_cast<int64_t>(rows.size())); ++i) {
      std::printf(
          "\n── %s, %s\n%s\n", dataset.tasks[t].name.c_str(), rows[i].where().c_str(),
          data::render_row(dataset, static_cast<int64_t>(t), rows[i], *renderer, {.colour = isatty(STDOUT_FILENO) == 1})
              .c_str());
    }
  }
}

}  // namespace

void add_data(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb = add_verb(app, "data", "look at data before training",
                            "moelora data inspect data/ --model Qwen/Qwen3-0.6B --render 1");
  verb->require_subcommand(1);
  CLI::App* inspect = add_verb(*verb, "inspect", "format, tasks, lengths, what would be cut, overlap of train and test",
                               "moelora data inspect data/ --model Qwen/Qwen3-0.6B --render 1");
  const auto own = std::make_shared<InspectFlags>();
  inspect->add_option("paths", own->paths, "a configuration file, or directories and files of rows")->required();
  inspect->add_option("--model", own->model, "count in this model's tokens instead of characters");
  inspect->add_option("--render", own->render,
                      "show so many training rows of each task as the model reads them, with the loss mask");
  inspect->add_flag("--json", own->json, "print JSON instead of tables");
  inspect->callback([own] { run_inspect(*own); });
}

}  // namespace moelora::app
