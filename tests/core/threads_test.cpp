#include "core/threads.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

#include "core/temporary_directory.h"

namespace moelora {
namespace {

using test::TemporaryDirectory;
using test::write_file;

/// A machine without limits, as far as files tell.
class Machine {
 public:
  Machine& file(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((place_.path() / path).parent_path());
    write_file(place_.path() / path, text);
    return *this;
  }
  int64_t cores() const { return usable_cores(place_.path()); }

 private:
  TemporaryDirectory place_;
};

int64_t affinity() {
  cpu_set_t set;
  sched_getaffinity(0, sizeof(set), &set);
  return CPU_COUNT(&set);
}

TEST(UsableCores, AreThoseOfTheAffinityMaskWithoutAQuota) {
  EXPECT_EQ(Machine().cores(), affinity());
  EXPECT_EQ(Machine().file("proc/self/cgroup", "0::/\n").file("sys/fs/cgroup/cpu.max", "max 100000\n").cores(),
            affinity());
}

TEST(UsableCores, FollowTheMask) {
  std::thread([] {
    cpu_set_t old_set, one;
    ASSERT_EQ(sched_getaffinity(0, sizeof(old_set), &old_set), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &old_set)) {
        CPU_SET(i, &one);
        break;
      }
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(usable_cores(), 1);
  }).join();
}

TEST(UsableCores, AreBoundByTheQuotaOfAnyAncestor) {
  EXPECT_EQ(Machine().file("proc/self/cgroup", "0::/a/b\n").file("sys/fs/cgroup/a/cpu.max", "50000 100000\n").cores(),
            1);
  EXPECT_EQ(Machine().file("proc/self/cgroup", "0::/a/b\n").file("sys/fs/cgroup/cpu.max", "100000 100000\n").cores(),
            1);
  EXPECT_EQ(Machine().file("proc/self/cgroup", "0::/\n").file("sys/fs/cgroup/cpu.max", "150000 100000\n").cores(),
            std::min<int64_t>(2, affinity()));
}

TEST(UsableCores, KnowTheFirstVersionOfCgroups) {
  EXPECT_EQ(Machine()
                .file("proc/self/cgroup", "4:memory:/x\n3:cpu,cpuacct:/x\n")
                .file("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "100000\n")
                .file("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n")
                .cores(),
            1);
  EXPECT_EQ(Machine()
                .file("proc/self/cgroup", "3:cpu,cpuacct:/\n")
                .file("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
                .file("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
                .cores(),
            affinity());
}

TEST(CpuFeatures, AreReadFromTheKernelsList) {
  TemporaryDirectory place;
  write_file(place.path() / "cpuinfo",
             "processor\t: 0\nmodel name\t: A CPU @ 2.0GHz\nflags\t\t: fpu avx2 avx512f amx_bf16 avx512_bf16x\n\n"
             "processor\t: 1\nmodel name\t: Another\nflags\t\t: avx512_vnni\n");
  const CpuFeatures features = read_cpu_features(place.path() / "cpuinfo");
  EXPECT_EQ(features.name, "A CPU @ 2.0GHz");
  EXPECT_EQ(features.names(), (std::vector<std::string>{"avx2", "avx512f", "amx_bf16"}));
  EXPECT_TRUE(features.has_bf16());
}

TEST(CpuFeatures, OfThisMachineAgreeWithTheCompilersProbe) {
#if defined(__x86_64__)
  EXPECT_EQ(cpu_features().avx2, __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(cpu_features().avx512f, __builtin_cpu_supports("avx512f") != 0);
#endif
  EXPECT_FALSE(read_cpu_features("no/such/file").has_bf16());
}

}  // namespace
}  // namespace moelora
