#include "generate/prefix_cache.h"

#include <algorithm>

namespace moelora::generate {

void PrefixCache::touch(const std::vector<std::list<Block>::iterator>& path) {
  for (auto block = path.rbegin(); block != path.rend(); ++block) recent_.splice(recent_.begin(), recent_, *block);
}

int64_t PrefixCache::extend(const Owner& owner, std::span<const int32_t> tokens, SequenceCache& cache) {
  const auto root = roots_.find(owner);
  if (root == roots_.end()) return 0;
  const int64_t blocks = std::ssize(tokens) / kBlock, held = cache.length() / kBlock;
  std::vector<std::list<Block>::iterator> path;
  const Children* children = &root->second;
  int64_t appended = 0;
  for (int64_t i = 0; i < blocks; ++i) {
    const auto found = children->find(tokens_of(tokens, i));
    if (found == children->end()) break;
    path.push_back(found->second);
    children = &found->second->children;
    if (i < held) continue;
    cache.append_copy(found->second->values);
    appended += kBlock;
  }
  touch(path);
  return appended;
}

bool PrefixCache::make_room(const std::vector<std::list<Block>::iterator>& path) {
  if (std::ssize(recent_) < most_blocks_) return true;
  const auto oldest = std::prev(recent_.end());
  if (std::ranges::find(path, oldest) != path.end()) return false;
  oldest->home->erase(oldest->place);
  recent_.erase(oldest);
  return true;
}

void PrefixCache::keep(const Owner& owner, std::span<const int32_t> tokens, const SequenceCache& cache) {
  if (!enabled()) return;
  std::vector<std::list<Block>::iterator> path;
  Children* children = &roots_[owner];
  for (int64_t i = 0; i < std::ssize(tokens) / kBlock; ++i) {
    auto found = children->find(tokens_of(tokens, i));
    if (found == children->end()) {
      touch(path);  // before the oldest is looked for
      if (!make_room(path)) break;
      recent_.push_front({.values = cache.copy(i * kBlock, kBlock), .home = children});
      found = children->emplace(tokens_of(tokens, i), recent_.begin()).first;
      found->second->place = found;
    }
    path.push_back(found->second);
    children = &found->second->children;
  }
  touch(path);
}

}  // namespace moelora::generate
