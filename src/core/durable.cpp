#include "core/durable.h"

#include <fcntl.h>

#include <cerrno>

#include "core/checked_file.h"

namespace moelora {

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes, mode_t mode,
                           FileSystem& file_system) {
  const std::filesystem::path temporary = partial_sibling(path);
  try {
    CheckedFile file(file_system, temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
    file.write(bytes);
    file.sync();
    file.close();
    if (const int result = file_system.rename_over(temporary, path); result < 0) {
      throw io_error(path, "replace", -result);
    }
  } catch (...) {
    file_system.remove(temporary);
    throw;
  }
  sync_directory(file_system, path.parent_path());
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text, mode_t mode,
                           FileSystem& file_system) {
  write_file_atomically(path, std::as_bytes(std::span(text)), mode, file_system);
}

void remove_directory(const std::filesystem::path& directory, FileSystem& file_system) {
  const std::filesystem::path target = without_slash(directory);
  const std::filesystem::path temporary = partial_sibling(target);
  if (const int result = file_system.rename_new(target, temporary); result < 0) {
    throw io_error(target, "remove", -result);
  }
  // The new name reaches the disk before anything inside is gone.
  sync_directory(file_system, target.parent_path());
  if (const int result = remove_tree(file_system, temporary); result < 0) throw io_error(target, "remove", -result);
}

void remove_partial_directories(const std::filesystem::path& parent, FileSystem& file_system) {
  std::vector<std::string> names;
  if (const int result = file_system.list(parent, &names); result < 0) throw io_error(parent, "list", -result);
  for (const std::string& name : names) {
    if (!is_partial_name(name)) continue;
    if (const int result = remove_tree(file_system, parent / name); result < 0) {
      throw io_error(parent / name, "remove", -result);
    }
  }
}

}  // namespace moelora
