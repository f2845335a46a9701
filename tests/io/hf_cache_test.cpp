#include <optional>

#include "io/hf_model.h"
#include "io/test_files.h"

namespace moelora::io {
namespace {

using testing::HasSubstr;

/// Sets an environment variable for a test.
class Variable {
 public:
  Variable(const char* name, const std::optional<std::string>& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~Variable() { set(old_); }
  Variable(const Variable&) = delete;

 private:
  void set(const std::optional<std::string>& value) { value ? ::setenv(name_, value->c_str(), 1) : ::unsetenv(name_); }

  const char* name_;
  std::optional<std::string> old_;
};

class HfCache : public testing::Test {
 protected:
  std::filesystem::path add_model(const std::filesystem::path& hub, const std::string& folder,
                                  const std::string& ref = "abc123") {
    write_text(hub / folder / "refs" / "main", ref);
    write_text(hub / folder / "snapshots" / "abc123" / "config.json", "{}");
    return hub / folder / "snapshots" / "abc123";
  }

  TestDirectory home_;
  Variable home_variable_{"HOME", home_.path().string()};
  Variable cache_{"HF_HUB_CACHE", std::nullopt};
  Variable old_cache_{"HUGGINGFACE_HUB_CACHE", std::nullopt};
  Variable hf_home_{"HF_HOME", std::nullopt};
  Variable xdg_{"XDG_CACHE_HOME", std::nullopt};
};

TEST_F(HfCache, AnExistingDirectoryIsTakenAsItIs) {
  EXPECT_EQ(resolve_model(home_.path().string()), home_.path());
}

TEST_F(HfCache, ANameIsFoundInTheDefaultCache) {
  const auto snapshot = add_model(home_ / ".cache/huggingface/hub", "models--Qwen--Qwen3-4B");
  EXPECT_EQ(resolve_model("Qwen/Qwen3-4B"), snapshot);
}

TEST_F(HfCache, HfHubCacheGoesBeforeHfHomeAndThatBeforeXdg) {
  add_model(home_ / ".cache/huggingface/hub", "models--a--m");
  const auto xdg = add_model(home_ / "xdg/huggingface/hub", "models--a--m");
  const auto hf_home = add_model(home_ / "hf_home/hub", "models--a--m");
  const auto hub_cache = add_model(home_ / "hub_cache", "models--a--m");
  const Variable set_xdg("XDG_CACHE_HOME", (home_ / "xdg").string());
  EXPECT_EQ(resolve_model("a/m"), xdg);
  const Variable set_home("HF_HOME", "~/hf_home");
  EXPECT_EQ(resolve_model("a/m"), hf_home);
  const auto old_cache = add_model(home_ / "old_cache", "models--a--m");
  const Variable set_old_cache("HUGGINGFACE_HUB_CACHE", (home_ / "old_cache").string());
  EXPECT_EQ(resolve_model("a/m"), old_cache);
  const Variable set_cache("HF_HUB_CACHE", (home_ / "hub_cache").string());
  EXPECT_EQ(resolve_model("a/m"), hub_cache);
}

TEST_F(HfCache, WithoutARefTheOnlySnapshotIsTaken) {
  const auto snapshot = add_model(home_ / ".cache/huggingface/hub", "models--gpt2");
  std::filesystem::remove(home_ / ".cache/huggingface/hub/models--gpt2/refs/main");
  EXPECT_EQ(resolve_model("gpt2"), snapshot);
  std::filesystem::create_directory(snapshot.parent_path() / "def456");
  EXPECT_THAT(model_error([] { resolve_model("gpt2"); }), HasSubstr("2 snapshots"));
}

TEST_F(HfCache, AnUnknownNameSaysWhereItLookedAndWhatIsNear) {
  add_model(home_ / ".cache/huggingface/hub", "models--Qwen--Qwen3-4B");
  EXPECT_THAT(model_error([] { resolve_model("Qwen/Qwen3-4b-x"); }),
              testing::AllOf(HasSubstr((home_ / ".cache/huggingface/hub/models--Qwen--Qwen3-4b-x").string()),
                             HasSubstr("did you mean `Qwen/Qwen3-4B`")));
  EXPECT_THAT(model_error([] { resolve_model("nothing/like-it"); }), HasSubstr("nothing is downloaded"));
}

TEST_F(HfCache, ARevisionIsARefOrASnapshot) {
  const auto hub = home_ / ".cache/huggingface/hub";
  const auto main = add_model(hub, "models--a--m");
  write_text(hub / "models--a--m/snapshots/def456/config.json", "{}");
  write_text(hub / "models--a--m/refs/v2", "def456");
  EXPECT_EQ(resolve_model("a/m"), main);
  EXPECT_EQ(resolve_model("a/m@v2"), main.parent_path() / "def456");
  EXPECT_EQ(resolve_model("a/m@abc123"), main);
  EXPECT_THAT(model_error([] { resolve_model("a/m@v3"); }), HasSubstr("no revision `v3`, only"));
  for (const char* name : {"a/m@", "a/m@..", "a/m@../refs", "a/m@x@v2"}) {
    EXPECT_THAT(model_error([&] { resolve_model(name); }), HasSubstr("no such directory")) << name;
  }
}

TEST_F(HfCache, FindsWhatHuggingFacesOwnLibraryFinds) {
  // Its layout: blobs, and snapshots of links into them.
  const auto hub = home_ / "home/hub";
  const auto snapshot = add_model(hub, "models--org--name", "def456").parent_path() / "def456";
  write_text(hub / "models--org--name/blobs/0123", "{}");
  std::filesystem::create_directories(snapshot);
  std::filesystem::create_symlink("../../blobs/0123", snapshot / "config.json");
  const Variable set_home("HF_HOME", (home_ / "home").string());
  const std::string theirs = oracle({"cached-snapshot", "org/name"});
  EXPECT_EQ(resolve_model("org/name").string() + "\n", theirs);
  EXPECT_TRUE(std::filesystem::exists(resolve_model("org/name") / "config.json"));
}

TEST_F(HfCache, NamesAndRefsNeverLeadOutOfTheCache) {
  add_model(home_ / ".cache/huggingface/hub", "models--a--m", "../../../../elsewhere");
  std::filesystem::create_directories(home_ / "elsewhere");
  EXPECT_THAT(model_error([] { resolve_model("a/m"); }), HasSubstr("not a revision"));
  for (const char* name : {"", "a/b/c", "../secret-model", "a/..", "/no/such/place", "a b/c", "-/", "org/"}) {
    SCOPED_TRACE(name);
    EXPECT_THAT(model_error([&] { resolve_model(name); }), HasSubstr("no such directory"));
  }
}

TEST_F(HfCache, APlaceThatCantBeLookedAtIsNotSaidToBeMissing) {
  const auto hub = home_ / ".cache/huggingface/hub";
  std::filesystem::create_directories(hub);
  std::filesystem::create_symlink("models--a--m", hub / "models--a--m");
  std::filesystem::create_symlink("loop", home_ / "loop");
  for (const std::string& name : {std::string("a/m"), (home_ / "loop").string()}) {
    try {
      resolve_model(name);
      ADD_FAILURE() << "found: " << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kIo) << name;
      EXPECT_THAT(error.what(), HasSubstr("can't look at")) << name;
    }
  }
}

TEST_F(HfCache, ARefWithoutItsSnapshotIsAnError) {
  add_model(home_ / ".cache/huggingface/hub", "models--a--m", "def456");
  EXPECT_THAT(model_error([] { resolve_model("a/m"); }), HasSubstr("def456 is missing"));
}

}  // namespace
}  // namespace moelora::io
