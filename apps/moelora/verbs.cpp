#include "verbs.h"

#include <cstdio>
#include <iostream>

#include "core/suggest.h"

namespace moelora::app {

CLI::App* add_verb(CLI::App& app, const std::string& name, const std::string& description, const std::string& example) {
  CLI::App* verb = app.add_subcommand(name, description);
  verb->footer("Example:\n  " + example);
  return verb;
}

Error unknown_argument(const CLI::App& verb, const std::string& argument, const std::string& expected) {
  std::vector<std::string> known;
  for (const CLI::Option* option : verb.get_options()) known.push_back(option->get_name());
  return Error(ErrorKind::kUsage, {.where = "command line",
                                   .problem = "unknown argument `" + argument + "`",
                                   .expected = expected,
                                   .hint = did_you_mean(argument.substr(0, argument.find('=')), known)});
}

void throw_unknown_argument(const CLI::App& verb, const std::string& argument, const std::string& example) {
  throw unknown_argument(verb, argument, "a flag of `moelora " + verb.get_name() + "` or " + example);
}

std::vector<std::string> config_overrides(const CLI::App& verb, const std::string& example) {
  std::vector<std::string> overrides;
  const std::vector<std::string> rest = verb.remaining();
  for (size_t i = 0; i < rest.size(); ++i) {
    const bool flag = rest[i].starts_with("--") && rest[i].find_first_of(".=") != std::string::npos;
    if (flag && rest[i].find('=') != std::string::npos) {
      overrides.push_back(rest[i].substr(2));
    } else if (flag && i + 1 < rest.size()) {
      overrides.push_back(rest[i].substr(2) + "=" + rest[i + 1]);
      ++i;
    } else {
      throw_unknown_argument(verb, rest[i], example);
    }
  }
  return overrides;
}

void check_output() {
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout) return;
  throw Error(ErrorKind::kIo, {.where = "standard output", .problem = "what was printed could not be written"});
}

}  // namespace moelora::app
