// One fuzzed reader. Each program of this folder defines read_input(); target.cpp calls it for each input and holds it
// to the rules of every reader: it reads the input or throws Error, and nothing else happens.
#pragma once

#include <filesystem>
#include <string_view>

namespace moelora::fuzz {

/// Reads one hostile input. May throw Error or ErrorList of any kind but kInternal.
void read_input(std::string_view input);

/// Ends the program with `message`: how a reader's promise beyond "no crash" is checked.
void require(bool holds, const char* message);

/// A directory of this process for readers of directories: in memory where the system has such a file system. Removed
/// at exit.
const std::filesystem::path& directory();

/// Replaces a file of directory().
void write_file(std::string_view name, std::string_view contents);

}  // namespace moelora::fuzz
