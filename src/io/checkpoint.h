// Checkpoints of a run: `checkpoint-<step>/` with tensors and integer state, committed durably, verified before they
// are used, never overwritten. The manifest is the commit record; there is no `latest` pointer, the newest that
// verifies is the latest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "io/tensor_file.h"

namespace moelora::io {

struct Checkpoint {
  int64_t step = 0;
  NamedTensors
      tensors;  // masters, exp_avg, exp_avg_sq: any dtype and shape; names are the caller's, sorted once loaded
  nlohmann::json state = nlohmann::json::object();     // an object: cursors, metrics so far
  nlohmann::json identity = nlohmann::json::object();  // an object, kept in the manifest: hashes of base, tokenizer,
                                                       // data and config, world size
};

/// A checkpoint that doesn't verify, and why (file and reason).
struct BadCheckpoint {
  std::filesystem::path dir;
  std::string reason;
};

struct NewestCheckpoint {
  std::optional<Checkpoint> checkpoint;  // nothing where no checkpoint verifies
  std::filesystem::path dir;             // where it is
  std::vector<BadCheckpoint> bad;        // newer ones that were passed over, newest first: tell the user
};

/// run_dir/checkpoint-<step>.
std::filesystem::path checkpoint_dir(const std::filesystem::path& run_dir, int64_t step);

/// Writes run_dir/checkpoint-<step>/ and returns its path once it is durable and has been read back and verified.
/// Throws Error(kIo) where it can't be written or exists already; what was there before is untouched.
std::filesystem::path save_checkpoint(const std::filesystem::path& run_dir, const Checkpoint& checkpoint,
                                      FileSystem& file_system = FileSystem::posix());

/// Reads and verifies one checkpoint directory: manifest, sizes, checksums, then the files themselves. Tensors are
/// views of the mapped file. Throws Error(kModel) naming file and reason.
Checkpoint load_checkpoint(const std::filesystem::path& dir);

/// The newest checkpoint that verifies, passing over those that don't. Throws Error(kIo) where one can't be read: a
/// failing disk or a missing permission makes no checkpoint a bad one.
NewestCheckpoint newest_valid_checkpoint(const std::filesystem::path& run_dir);

/// Renames a checkpoint to a name that no reader takes for one, `bad-checkpoint-<step>`, and returns it: what can't be
/// used now may be by another version, or be of use to whoever looks into it.
std::filesystem::path set_aside_checkpoint(const std::filesystem::path& dir,
                                           FileSystem& file_system = FileSystem::posix());

/// Removes the oldest checkpoints until `keep` (at least 2) valid ones are left, after verifying the newest;
/// `protected_steps` (the best one) are never removed. Removes nothing where the newest doesn't verify. Returns what
/// was removed.
std::vector<std::filesystem::path> prune_checkpoints(const std::filesystem::path& run_dir, int64_t keep,
                                                     const std::vector<int64_t>& protected_steps = {},
                                                     FileSystem& file_system = FileSystem::posix());

}  // namespace moelora::io
