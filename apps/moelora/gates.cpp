// moelora gates RUN
#include <cstdio>
#include <iostream>
#include <memory>

#include "compare/gate_picture.h"
#include "core/durable.h"
#include "core/error.h"
#include "train/open_run.h"
#include "verbs.h"

namespace moelora::app {
namespace {

struct GatesFlags {
  std::string run;
  std::string svg;
  bool json = false;
};

void print_table(const std::vector<std::string>& tasks, const adapters::GateTable& gate) {
  std::printf("gate: %s\n%-24s", gate.name.c_str(), "task");
  for (size_t n = 0; n < gate.weights[0].size(); ++n) std::printf(" expert %zu", n + 1);
  std::printf("\n");
  for (size_t t = 0; t < tasks.size(); ++t) {
    std::printf("%-24s", tasks[t].c_str());
    for (const float weight : gate.weights[t]) std::printf(" %8.3f", weight);
    std::printf("\n");
  }
}

void run_gates(const GatesFlags& own) {
  const train::SavedAdapter saved = train::load_run_adapter(own.run);
  const std::vector<adapters::GateTable> gates = train::gates_of(saved);
  if (own.json) {
    nlohmann::ordered_json json = {{"tasks", saved.task_names()}, {"gates", nlohmann::ordered_json::array()}};
    for (const adapters::GateTable& gate : gates)
      json["gates"].push_back({{"name", gate.name}, {"weights", gate.weights}});
    std::cout << json.dump(2) << "\n";
  } else {
    for (const adapters::GateTable& gate : gates) print_table(saved.task_names(), gate);
  }
  if (own.svg.empty()) return;
  if (std::filesystem::exists(own.svg)) {
    throw Error(ErrorKind::kIo,
                {.where = own.svg, .problem = "exists already", .hint = "give another file with --svg"});
  }
  write_file_atomically(own.svg, compare::gate_svg(saved.task_names(), gates));
}

}  // namespace

void add_gates(CLI::App& app, const GlobalFlags&) {
  CLI::App* verb = add_verb(app, "gates", "the weight of each expert for each task: table, JSON, picture",
                            "moelora gates runs/medical --svg gates.svg");
  const auto own = std::make_shared<GatesFlags>();
  verb->add_option("run", own->run, "run directory")->required();
  verb->add_option("--svg", own->svg, "also draw them into this file, which must not exist");
  verb->add_flag("--json", own->json, "print JSON instead of a table");
  verb->callback([own] { run_gates(*own); });
}

}  // namespace moelora::app
