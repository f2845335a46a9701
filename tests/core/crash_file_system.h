// A file system that remembers what has reached the disk, so that a test can look at what a power failure at any call
// leaves: a file's bytes are safe once the file was fsynced, a name once its directory was.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <memory>
#include <stdexcept>

#include "core/faulty_file_system.h"
#include "core/temporary_directory.h"

namespace moelora::test {

/// What a disk may keep of what was never fsynced.
enum class Unsynced { kLost, kNamesKept, kUpperNamesKept, kLowerNamesKept, kAllKept };

class CrashFileSystem : public ForwardingFileSystem {
 public:
  /// `root` exists and is empty; only what is below it is followed. The power fails at call number `fail_at` (-1:
  /// never).
  CrashFileSystem(std::filesystem::path root, int64_t fail_at)
      : root_path_(std::move(root)), root_(std::make_shared<Node>()), fail_at_(fail_at) {}

  int64_t calls() const { return calls_; }
  void fail_at_call(int64_t call) { fail_at_ = call; }

  int open(const std::filesystem::path& path, int flags, mode_t mode) override {
    const int descriptor = ForwardingFileSystem::open(path, flags, mode);
    if (descriptor < 0) return descriptor;
    if ((flags & O_CREAT) != 0 && !node(path.parent_path())->now.contains(path.filename())) {
      node(path.parent_path())->now[path.filename()] = std::make_shared<Node>();
    }
    open_[descriptor] = node(path);
    return descriptor;
  }
  ssize_t write(int descriptor, const void* bytes, size_t size) override {
    const ssize_t count = ForwardingFileSystem::write(descriptor, bytes, size);
    if (count > 0) open_.at(descriptor)->bytes.append(static_cast<const char*>(bytes), static_cast<size_t>(count));
    return count;
  }
  int fsync(int descriptor) override {
    const int result = ForwardingFileSystem::fsync(descriptor);
    Node& node = *open_.at(descriptor);
    node.synced_bytes = node.bytes;
    node.synced = node.now;
    return result;
  }
  int make_directory(const std::filesystem::path& path, mode_t mode) override {
    const int result = ForwardingFileSystem::make_directory(path, mode);
    if (result == 0) {
      auto made = std::make_shared<Node>();
      made->is_directory = true;
      node(path.parent_path())->now[path.filename()] = made;
    }
    return result;
  }
  int rename_over(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return moved(ForwardingFileSystem::rename_over(from, to), from, to);
  }
  int rename_new(const std::filesystem::path& from, const std::filesystem::path& to) override {
    return moved(ForwardingFileSystem::rename_new(from, to), from, to);
  }
  int remove(const std::filesystem::path& path) override {
    const int result = ForwardingFileSystem::remove(path);
    if (result == 0) node(path.parent_path())->now.erase(path.filename());
    return result;
  }

  /// Writes below `target` (which exists) what the disk holds after the failure.
  void restore(const std::filesystem::path& target, Unsynced unsynced) const { restore(*root_, target, unsynced, 0); }

 protected:
  int fault(const std::string&) override {
    const bool is_off = fail_at_ >= 0 && calls_ >= fail_at_;
    ++calls_;
    return is_off ? -EIO : 0;  // nothing happens from then on
  }

 private:
  struct Node {
    bool is_directory = false;
    std::string bytes, synced_bytes;
    std::map<std::filesystem::path, std::shared_ptr<Node>> now, synced;
  };

  std::shared_ptr<Node> node(const std::filesystem::path& path) const {
    std::shared_ptr<Node> found = root_;
    const std::filesystem::path inside = path.lexically_relative(root_path_);
    if (inside.empty() || *inside.begin() == "..") throw std::logic_error("outside of the root: " + path.string());
    for (const auto& part : inside) {
      if (part != ".") found = found->now.at(part);
    }
    return found;
  }
  int moved(int result, const std::filesystem::path& from, const std::filesystem::path& to) {
    if (result != 0) return result;
    const auto source = node(from);
    node(from.parent_path())->now.erase(from.filename());
    node(to.parent_path())->now[to.filename()] = source;
    return 0;
  }
  void restore(const Node& node, const std::filesystem::path& target, Unsynced unsynced, int depth) const {
    const bool names_kept = unsynced == Unsynced::kAllKept || unsynced == Unsynced::kNamesKept ||
                            (unsynced == Unsynced::kUpperNamesKept && depth == 0) ||
                            (unsynced == Unsynced::kLowerNamesKept && depth > 0);
    for (const auto& [name, child] : names_kept ? node.now : node.synced) {
      if (child->is_directory) {
        std::filesystem::create_directory(target / name);
        restore(*child, target / name, unsynced, depth + 1);
      } else {
        write_file(target / name, unsynced == Unsynced::kAllKept ? child->bytes : child->synced_bytes);
      }
    }
  }

  std::filesystem::path root_path_;
  std::shared_ptr<Node> root_;
  std::map<int, std::shared_ptr<Node>> open_;
  int64_t fail_at_;
  int64_t calls_ = 0;
};

}  // namespace moelora::test
