// The verbs of the command line, one file each, and each only: parse, call, print. main.cpp turns errors into exit
// codes.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "core/error.h"

namespace moelora::app {

/// Flags that every verb has.
struct GlobalFlags {
  bool quiet = false;
  bool verbose = false;
};

void add_train(CLI::App& app, const GlobalFlags& flags);
void add_eval(CLI::App& app, const GlobalFlags& flags);
void add_export(CLI::App& app, const GlobalFlags& flags);
void add_adapt(CLI::App& app, const GlobalFlags& flags);
void add_compare(CLI::App& app, const GlobalFlags& flags);
void add_generate(CLI::App& app, const GlobalFlags& flags);
void add_chat(CLI::App& app, const GlobalFlags& flags);
void add_gates(CLI::App& app, const GlobalFlags& flags);
void add_import(CLI::App& app, const GlobalFlags& flags);
void add_data(CLI::App& app, const GlobalFlags& flags);
void add_validate(CLI::App& app, const GlobalFlags& flags);
void add_plan(CLI::App& app, const GlobalFlags& flags);
void add_doctor(CLI::App& app, const GlobalFlags& flags);
void add_demo(CLI::App& app, const GlobalFlags& flags);
void add_bench(CLI::App& app, const GlobalFlags& flags);

/// A verb with its example in --help.
CLI::App* add_verb(CLI::App& app, const std::string& name, const std::string& description, const std::string& example);

/// Error (kUsage) for an argument that the verb doesn't have, with its nearest flag.
Error unknown_argument(const CLI::App& verb, const std::string& argument, const std::string& expected);
/// Of a verb that takes a configuration's keys as well: `example` is one of them.
[[noreturn]] void throw_unknown_argument(const CLI::App& verb, const std::string& argument, const std::string& example);

/// What CLI11 left over as configuration overrides: `--train.learning_rate=1e-4` or `--train.learning_rate 1e-4` become
/// "train.learning_rate=1e-4". Throws Error (kUsage) for anything that isn't one, with the nearest flag; `example` is
/// one of the verb's.
std::vector<std::string> config_overrides(const CLI::App& verb,
                                          const std::string& example = "a configuration key like --train.seed=1");

/// Throws Error (kIo) where something that was printed couldn't be written: a full disk, say.
void check_output();

}  // namespace moelora::app
