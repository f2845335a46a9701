// Rows as people keep them: compressed, as CSV, listed in LLaMA-Factory's dataset_info.json, one file a task.
#include <gmock/gmock.h>
#include <zlib.h>
#include <zstd.h>

#include <set>

#include "core/random.h"
#include "data/dataset.h"
#include "data/made_files.h"
#include "data/row_file.h"

namespace moelora::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, text.size()) + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

/// With a checksum, as the command line's zstd writes it.
std::string zstd(const std::string& text) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return packed;
}

/// Rows that don't compress to nothing, more than a few chunks of them.
std::string many_rows(int count) {
  Random random(1, RandomStream::kData);
  std::string text;
  for (int i = 0; i < count; ++i)
    text += qa(std::to_string(random.next_u64()) + std::to_string(random.next_u64()), "x");
  return text;
}

class Inputs : public MadeFiles {
 protected:
  RowFile read(const std::string& name, const RowFileOptions& options = {}) {
    return read_row_file(root_ / name, options);
  }
  std::string failure(const std::string& name) {
    return thrown([&] { read(name); });
  }
  Dataset load(config::DataSource source) {
    source.path = (root_ / source.path).string();
    config::DataConfig config;
    config.sources = {source};
    return load_dataset(config, {}, {.required = {}});
  }
  std::string load_failure(const config::DataSource& source) {
    return thrown([&] { load(source); });
  }
};

TEST_F(Inputs, CompressedRowsAreTheRows) {
  const std::string text = many_rows(20000);
  write("a.jsonl", text);
  write("a.jsonl.gz", gzip(text));
  write("a.jsonl.zst", zstd(text));
  write("two.jsonl.gz", gzip(text.substr(0, text.size() / 2)) + gzip(text.substr(text.size() / 2)));
  write("two.jsonl.zst", zstd(text.substr(0, text.size() / 2)) + zstd(text.substr(text.size() / 2)));
  const RowFile plain = read("a.jsonl");
  for (const char* name : {"a.jsonl.gz", "a.jsonl.zst", "two.jsonl.gz", "two.jsonl.zst"}) {
    const RowFile file = read(name);
    ASSERT_EQ(file.rows.size(), plain.rows.size()) << name;
    for (size_t i = 0; i < file.rows.size(); ++i) {
      ASSERT_EQ(file.rows[i].messages[0].content, plain.rows[i].messages[0].content);
      ASSERT_EQ(file.rows[i].line, plain.rows[i].line);
    }
    EXPECT_NE(file.hash, plain.hash) << "the hash is the file's, as it lies on the disk";
  }
}

TEST_F(Inputs, CompressedFilesThatAreCutOrDamagedAreRefusedByName) {
  const std::string text = many_rows(3000);
  for (const auto& [ending, packed] :
       {std::pair<std::string, std::string>{".jsonl.gz", gzip(text)}, {".jsonl.zst", zstd(text)}}) {
    for (const size_t kept : {size_t{0}, size_t{1}, size_t{7}, packed.size() / 2, packed.size() - 1}) {
      write("cut" + ending, packed.substr(0, kept));
      EXPECT_THAT(failure("cut" + ending), AllOf(HasSubstr("cut" + ending), HasSubstr("cut short"))) << kept;
    }
    write("other" + ending, text);
    EXPECT_THAT(failure("other" + ending), AllOf(HasSubstr("other" + ending), HasSubstr("damaged")));
    write("more" + ending, packed + "trailing bytes");
    EXPECT_THAT(failure("more" + ending), HasSubstr("more" + ending));
    std::string flipped = packed;
    flipped[packed.size() / 2] ^= 0x10;
    write("flipped" + ending, flipped);
    EXPECT_THAT(failure("flipped" + ending), HasSubstr("flipped" + ending));
  }
}

TEST_F(Inputs, SplitsAreFoundWhateverTheirEnding) {
  write("d/a/train.jsonl.gz", gzip(qa("1", "x")));
  write("d/a/dev.csv", "input,target\n2,y\n");
  write("d/b/train.jsonl.zst", zstd(qa("3", "z")));
  const Dataset dataset = load({.path = "d"});
  EXPECT_THAT(dataset.task_names(), ElementsAre("a", "b"));
  EXPECT_EQ(dataset.tasks[0].of(Split::kDev)[0].answer, "y");
}

TEST_F(Inputs, CsvIsReadAsRfc4180HasIt) {
  write("a.csv",
        "\xEF\xBB\xBFid,input,target,note\r\n"
        "1,\"a, \"\"b\"\"\nc\",yes,\r\n"
        "\r\n"
        "2,plain \"quoted\" \\ text\ttab,\"\",x\r\n"
        "3,\"\xE5\x8F\xB3\",no,");
  const RowFile file = read("a.csv", {.skip_bad = 1});
  ASSERT_EQ(file.rows.size(), 2u);
  EXPECT_EQ(file.rows[0].id, "1");
  EXPECT_EQ(file.rows[0].messages[0].content, "a, \"b\"\nc");
  EXPECT_EQ(file.rows[0].line, 2);
  EXPECT_EQ(file.rows[1].messages[0].content, "\xE5\x8F\xB3");
  EXPECT_EQ(file.rows[1].line, 6);
  ASSERT_EQ(file.bad.size(), 1u);
  EXPECT_THAT(file.bad[0].what(), AllOf(HasSubstr("a.csv:5"), HasSubstr("the answer is empty")));
}

TEST_F(Inputs, CsvHoldsListsAsJson) {
  write("a.csv", "prompt,completion,answer_choices\nq,a,\"[\"\"a\"\", \"\"b\"\"]\"\nr,b,\n");
  const RowFile file = read("a.csv");
  EXPECT_THAT(file.rows[0].answer_choices, ElementsAre("a", "b"));
  EXPECT_TRUE(file.rows[1].answer_choices.empty());
  write("b.csv", "prompt,completion,answer_choices\nq,a,a or b\n");
  EXPECT_THAT(failure("b.csv"), AllOf(HasSubstr("b.csv:2"), HasSubstr("answer_choices as JSON lists")));
}

TEST_F(Inputs, MalformedCsvIsRefusedWithItsLine) {
  const auto refused = [&](const std::string& text) {
    write("a.csv", text);
    return failure("a.csv");
  };
  EXPECT_THAT(refused("input,target\na,b\nc\n"),
              AllOf(HasSubstr("a.csv:3"), HasSubstr("found 1"), HasSubstr("expected 2")));
  EXPECT_THAT(refused("input,target\na,b,c\n"), AllOf(HasSubstr("a.csv:2"), HasSubstr("number of fields")));
  EXPECT_THAT(refused("input,target\na,\"b\n\nc"), AllOf(HasSubstr("a.csv:2"), HasSubstr("isn't closed")));
  EXPECT_THAT(refused("input,target\n\"a\"b,c\n"), AllOf(HasSubstr("a.csv:2"), HasSubstr("closing quote")));
  EXPECT_THAT(refused("input,input\na,b\n"), AllOf(HasSubstr("a.csv:1"), HasSubstr("`input`")));
  EXPECT_THAT(refused("input,,target\na,b,c\n"), HasSubstr("has no name"));
  EXPECT_THAT(refused(""), HasSubstr("no rows"));
  EXPECT_THAT(refused("input,target\n"), HasSubstr("no rows"));
  EXPECT_THAT(refused("input,target\n\xff,b\n"), AllOf(HasSubstr("a.csv:2"), HasSubstr("UTF-8")));
  EXPECT_THAT(refused(std::string("input,target\na\0b,c\n", 18)), AllOf(HasSubstr("a.csv:2"), HasSubstr("NUL")));
  EXPECT_THAT(refused("question,reply\na,b\n"), HasSubstr("fits no format"));
  write("long.csv", "input,target\n" + std::string(5000, 'a') + ",b\nc,d\n");
  EXPECT_THAT(thrown([&] { read("long.csv", {.max_record_bytes = 1000}); }),
              AllOf(HasSubstr("long.csv:2"), HasSubstr("too long")));
}

TEST_F(Inputs, ParquetIsRefusedWithWhatToDo) {
  write("d/train.parquet", "PAR1");
  EXPECT_THAT(load_failure({.path = "d"}),
              AllOf(HasSubstr("train.parquet"), HasSubstr("Parquet isn't read"), HasSubstr("to_json")));
}

TEST_F(Inputs, OneFileATaskWithItsSplitInTheConfigurationOrAsFolders) {
  write("flat/report.jsonl", qa("1", "x"));
  write("flat/triage.csv", "input,target\n2,y\n");
  const Dataset flat = load({.path = "flat", .split = "train"});
  EXPECT_THAT(flat.task_names(), ElementsAre("report", "triage"));
  EXPECT_EQ(flat.rows(Split::kTrain), 2);
  EXPECT_THAT(load_failure({.path = "flat"}), HasSubstr("give the source a `split:`"));

  write("folders/train/report.jsonl", qa("1", "x"));
  write("folders/train/triage.jsonl", qa("2", "y"));
  write("folders/validation/report.jsonl", qa("3", "z"));
  const Dataset folders = load({.path = "folders"});
  EXPECT_THAT(folders.task_names(), ElementsAre("report", "triage"));
  EXPECT_EQ(folders.tasks[0].of(Split::kDev)[0].answer, "z");
}

TEST_F(Inputs, DatasetInfoNamesFilesColumnsAndTags) {
  write("lf/dataset_info.json", R"({
    "plain": {"file_name": "plain.json"},
    "renamed": {"file_name": "sub/renamed.jsonl", "columns": {"prompt": "question", "query": "context", "response": "reply", "system": "role"}},
    "chat": {"file_name": "chat.json", "formatting": "sharegpt", "columns": {"messages": "turns"},
             "tags": {"role_tag": "who", "content_tag": "says", "user_tag": "patient", "assistant_tag": "doctor"}},
    "elsewhere": {"hf_hub_url": "org/name"}})");
  write("lf/plain.json", R"([{"instruction": "i", "input": "x", "output": "o", "system": "not mapped"}])");
  write("lf/sub/renamed.jsonl", R"({"question": "q", "context": "c", "reply": "r", "role": "s", "output": "no"})");
  write("lf/chat.json",
        R"([{"turns": [{"who": "patient", "says": "hi"}, {"who": "doctor", "says": "yes?"}], "id": 7}])");
  const Dataset all = load({.path = "lf/dataset_info.json", .split = "train"});
  ASSERT_THAT(all.task_names(), ElementsAre("chat", "plain", "renamed"));
  const Row& chat = all.tasks[0].of(Split::kTrain)[0];
  EXPECT_EQ(chat.messages[0].content, "hi");
  EXPECT_EQ(chat.answer, "yes?");
  EXPECT_EQ(chat.id, "7");
  const Row& plain = all.tasks[1].of(Split::kTrain)[0];
  ASSERT_EQ(plain.messages.size(), 1u) << "LLaMA-Factory reads no system message that its columns don't name";
  EXPECT_EQ(plain.messages[0].content, "i\nx");
  const Row& renamed = all.tasks[2].of(Split::kTrain)[0];
  EXPECT_EQ(renamed.messages[0].content, "s");
  EXPECT_EQ(renamed.messages[1].content, "q\nc");
  EXPECT_EQ(renamed.answer, "r");

  const Dataset one = load({.path = "lf/dataset_info.json#renamed", .task = "mine", .split = "dev"});
  EXPECT_THAT(one.task_names(), ElementsAre("mine"));
  EXPECT_THAT(load_failure({.path = "lf/dataset_info.json#plian", .split = "train"}),
              HasSubstr("did you mean `plain`"));
  EXPECT_THAT(load_failure({.path = "lf/dataset_info.json#elsewhere", .split = "train"}),
              HasSubstr("nothing is downloaded"));
  EXPECT_THAT(load_failure({.path = "lf/dataset_info.json"}), HasSubstr("give the source a `split:`"));
}

TEST_F(Inputs, ColumnsOfDatasetInfoArePartOfTheDatasHash) {
  write("lf/rows.jsonl", R"({"q": "i", "short": "s", "long": "a longer answer"})");
  std::set<std::string> hashes;
  for (const std::string response : {"short", "long"}) {
    write("lf/dataset_info.json",
          R"({"rows": {"file_name": "rows.jsonl", "columns": {"prompt": "q", "response": ")" + response + R"("}}})");
    hashes.insert(load({.path = "lf/dataset_info.json", .split = "train"}).hash);
  }
  EXPECT_EQ(hashes.size(), 2u);
}

TEST_F(Inputs, HostileDatasetInfoIsRefusedByName) {
  write("lf/a.json", "[" + qa("1", "x") + "]");
  write("secret.json", "[" + qa("1", "x") + "]");
  const auto refused = [&](const std::string& text) {
    write("lf/dataset_info.json", text);
    return load_failure({.path = "lf/dataset_info.json", .split = "train"});
  };
  EXPECT_THAT(refused(""), AllOf(HasSubstr("dataset_info.json"), HasSubstr("JSON")));
  EXPECT_THAT(refused(R"({"a": {"file_name": "a.json")"), HasSubstr("JSON"));
  EXPECT_THAT(refused("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refused(std::string(100000, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(refused(R"({"a": {"file_name": "a.json"}, "a": {"file_name": "a.json"}})"),
              HasSubstr("duplicate key `a`"));
  EXPECT_THAT(refused(std::string("{}\0", 3)), HasSubstr("a NUL byte"));
  EXPECT_THAT(refused(R"({"a": {"file_name": "../secret.json"}})"), HasSubstr("not a file below"));
  EXPECT_THAT(refused(R"({"a": {"file_name": "/etc/passwd"}})"), HasSubstr("not a file below"));
  EXPECT_THAT(refused(R"({"a": {"file_name": 7}})"), HasSubstr("wrong type"));
  EXPECT_THAT(refused(R"({"a": {"file_name": "b.json"}})"), HasSubstr("doesn't exist"));
  std::filesystem::create_symlink("loop.json", root_ / "lf/loop.json");
  EXPECT_THAT(refused(R"({"a": {"file_name": "loop.json"}})"), HasSubstr("loop.json: can't look at"));
  EXPECT_THAT(refused(R"({"a": {"file_name": "a.json", "ranking": true}})"),
              AllOf(HasSubstr("a.ranking"), HasSubstr("isn't read")));
  EXPECT_THAT(refused(R"({"a": {"file_name": "a.json", "formatting": "openai"}})"), HasSubstr("a.formatting"));
  EXPECT_THAT(refused(R"({"a": {"file_name": "a.json", "columns": {"images": "i"}}})"), HasSubstr("a.columns.images"));
  EXPECT_THAT(refused(R"({"a": {"file_name": "a.json", "columns": {"prompt": "x", "query": "x"}}})"),
              HasSubstr("two things"));
}

}  // namespace
}  // namespace moelora::data
