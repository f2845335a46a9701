#include "fuzz/target.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "core/error.h"
#include "core/utf8.h"

namespace moelora::fuzz {
namespace {

constexpr size_t kLongestMessage = 16 << 10;

void check_error(const Error& error) {
  const std::string_view message = error.what();
  if (error.kind() == ErrorKind::kInternal) std::fprintf(stderr, "%s\n", error.what());
  require(error.kind() != ErrorKind::kInternal, "an internal error: the reader doesn't know what is wrong");
  require(!error.details().problem.empty(), "an error that says nothing");
  require(!first_invalid_utf8(message), "an error whose message isn't UTF-8");
  require(message.size() <= kLongestMessage, "an error whose message nobody can read");
}

std::filesystem::path make_directory() {
  std::error_code error;
  const std::filesystem::path memory = "/dev/shm";
  const std::filesystem::path parent =
      std::filesystem::is_directory(memory, error) ? memory : std::filesystem::temp_directory_path();
  std::string name = (parent / "moelora-fuzz-XXXXXX").string();
  require(mkdtemp(name.data()) != nullptr, "no temporary directory");
  static std::filesystem::path made;
  made = name;
  std::atexit([] {
    std::error_code ignored;
    std::filesystem::remove_all(made, ignored);
  });
  return made;
}

}  // namespace

void require(bool holds, const char* message) {
  if (holds) return;
  std::fprintf(stderr, "moelora fuzz: %s\n", message);
  std::abort();
}

const std::filesystem::path& directory() {
  static const std::filesystem::path path = make_directory();
  return path;
}

void write_file(std::string_view name, std::string_view contents) {
  std::ofstream file(directory() / name, std::ios::binary | std::ios::trunc);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  file.close();
  require(!file.fail(), "a file of the fuzzer couldn't be written");
}

}  // namespace moelora::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moelora;
  try {
    fuzz::read_input({reinterpret_cast<const char*>(data), size});
  } catch (const Error& error) {
    fuzz::check_error(error);
  } catch (const ErrorList& list) {
    for (const Error& error : list.errors()) fuzz::check_error(error);
  }
  return 0;
}
