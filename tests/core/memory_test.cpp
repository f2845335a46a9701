#include "core/memory.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/temporary_directory.h"

namespace moelora {
namespace {

using test::TemporaryDirectory;

/// A machine with a GiB, as files tell.
class Machine {
 public:
  Machine() { file("proc/meminfo", "MemTotal: 4194304 kB\nMemAvailable:    1048576 kB\n"); }
  Machine& file(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((place_.path() / path).parent_path());
    test::write_file(place_.path() / path, text);
    return *this;
  }
  int64_t available() const { return available_memory_bytes(place_.path()); }

 private:
  TemporaryDirectory place_;
};

TEST(AvailableMemory, IsTheMachinesWithoutALimit) {
  EXPECT_EQ(Machine().available(), int64_t{1} << 30);
  EXPECT_EQ(Machine()
                .file("proc/self/cgroup", "0::/a\n")
                .file("sys/fs/cgroup/a/memory.max", "max\n")
                .file("sys/fs/cgroup/a/memory.current", "5\n")
                .available(),
            int64_t{1} << 30);
  EXPECT_EQ(available_memory_bytes("/no/such/place"), std::numeric_limits<int64_t>::max());
}

TEST(AvailableMemory, IsWhatAnAncestorsLimitLeavesWithTheCacheItCanGiveBack) {
  EXPECT_EQ(Machine()
                .file("proc/self/cgroup", "0::/a/b\n")
                .file("sys/fs/cgroup/a/memory.max", "1000000\n")
                .file("sys/fs/cgroup/a/memory.current", "700000\n")
                .file("sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file 50000\n")
                .available(),
            350000);
}

TEST(AvailableMemory, KnowsTheFirstVersionOfCgroups) {
  EXPECT_EQ(Machine()
                .file("proc/self/cgroup", "4:memory:/x\n3:cpu:/x\n")
                .file("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1000\n")
                .file("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1200\n")
                .available(),
            0);
}

TEST(AvailableMemory, OfThisMachineIsSomething) {
  EXPECT_GT(available_memory_bytes(), int64_t{1} << 20);
  EXPECT_LT(available_memory_bytes(), int64_t{1} << 50);
}

}  // namespace
}  // namespace moelora
