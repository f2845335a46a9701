#include "eval/answer.h"

#include <gmock/gmock.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/utf8.h"

namespace moelora::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

ParsedAnswer plain(AnswerKind kind, std::string_view text, const std::vector<std::string>& choices = {}) {
  return parse_answer(text, {kind, Grammar::kPlain, choices});
}

ParsedAnswer chinese(AnswerKind kind, std::string_view text, const std::vector<std::string>& choices = {}) {
  return parse_answer(text, {kind, Grammar::kPromptCblue, choices});
}

TEST(PlainAnswer, LabelIsComparedWithoutCaseAndSpace) {
  const ParsedAnswer answer =
      plain(AnswerKind::kLabel, "  Diseases of the\t Ear \n", {"diseases of the ear", "neoplasms"});
  EXPECT_THAT(answer.items, ElementsAre("diseases of the ear"));
  EXPECT_THAT(answer.off_list, IsEmpty());
  EXPECT_FALSE(answer.malformed());
}

TEST(PlainAnswer, LabelOffTheListIsMarkedAndLabelOfTwoLinesIsUnreadable) {
  EXPECT_THAT(plain(AnswerKind::kLabel, "ears", {"ear"}).off_list, ElementsAre("ears"));
  EXPECT_THAT(plain(AnswerKind::kLabel, "ear\nnose", {"ear"}).unreadable, ElementsAre("ear\nnose"));
}

TEST(PlainAnswer, SetIsSplitAtSemicolonsAndLinesWithoutDuplicates) {
  const ParsedAnswer answer = plain(AnswerKind::kSet, "Acute bronchitis;  chronic, bronchitis;\nACUTE bronchitis; ;");
  EXPECT_THAT(answer.items, UnorderedElementsAre("acute bronchitis", "chronic, bronchitis"));
  EXPECT_FALSE(answer.malformed());
}

TEST(PlainAnswer, NoneIsTheEmptySetUnlessItIsAChoice) {
  EXPECT_THAT(plain(AnswerKind::kSet, "None", {"a", "b"}).items, IsEmpty());
  EXPECT_FALSE(plain(AnswerKind::kSet, "None", {"a", "b"}).malformed());
  EXPECT_THAT(plain(AnswerKind::kSet, "None", {"a", "none"}).items, ElementsAre("none"));
  for (const AnswerKind kind : {AnswerKind::kTriples, AnswerKind::kEvents, AnswerKind::kPairs, AnswerKind::kEntities}) {
    EXPECT_THAT(plain(kind, "none").items, IsEmpty());
    EXPECT_FALSE(plain(kind, "none").malformed());
  }
}

TEST(PlainAnswer, TripleMayHoldBracketsAndItsRelationIsChecked) {
  const ParsedAnswer answer =
      plain(AnswerKind::kTriples, "(Fracture (closed) | site | left femur)\n( asthma|severity|mild )", {"site"});
  EXPECT_THAT(answer.items, UnorderedElementsAre("fracture (closed) | site | left femur", "asthma | severity | mild"));
  EXPECT_THAT(answer.off_list, ElementsAre("asthma | severity | mild"));
}

TEST(PlainAnswer, BrokenTriplesAreUnreadableAndTheOthersStillCount) {
  const ParsedAnswer answer =
      plain(AnswerKind::kTriples, "(a | b | c)\n(a | b | c\na | b | c)\n(a | b)\n(a | b | c | d)\n(a | | c)\n(((\n)(");
  EXPECT_THAT(answer.items, ElementsAre("a | b | c"));
  EXPECT_EQ(answer.unreadable.size(), 7u);
}

TEST(PlainAnswer, EventFieldsAreFreeInOrderAndEmptyOnesAreSkipped) {
  const ParsedAnswer a = plain(AnswerKind::kEvents, "site: left femur; kind: fracture; side:");
  const ParsedAnswer b = plain(AnswerKind::kEvents, "Kind: Fracture; site: left  femur");
  EXPECT_EQ(a.items, b.items);
  EXPECT_THAT(a.items, ElementsAre("kind: fracture; site: left femur"));
}

TEST(PlainAnswer, EventWithAFieldTwiceOrWithoutColonIsUnreadable) {
  EXPECT_TRUE(plain(AnswerKind::kEvents, "site: a; site: b").malformed());
  EXPECT_TRUE(plain(AnswerKind::kEvents, "site: a; b").malformed());
  EXPECT_TRUE(plain(AnswerKind::kEvents, ": a").malformed());
  EXPECT_TRUE(plain(AnswerKind::kEvents, "site: ; kind:").malformed());
}

TEST(PlainAnswer, PairIsSplitAtTheLastColonAndItsStatusIsChecked) {
  const ParsedAnswer answer =
      plain(AnswerKind::kPairs, "Glasgow score: eyes: Present\nfever: maybe\nrash", {"present", "absent"});
  EXPECT_THAT(answer.items, UnorderedElementsAre("glasgow score: eyes: present", "fever: maybe"));
  EXPECT_THAT(answer.off_list, ElementsAre("fever: maybe"));
  EXPECT_THAT(answer.unreadable, ElementsAre("rash"));
}

TEST(PlainAnswer, EntitiesStandUnderTheirType) {
  const ParsedAnswer answer = plain(AnswerKind::kEntities, "drug: aspirin; heparin\nsite:", {"drug", "site"});
  EXPECT_THAT(answer.items, UnorderedElementsAre("drug: aspirin", "drug: heparin"));
  EXPECT_FALSE(answer.malformed());
}

TEST(PromptCblueAnswer, TriplesInTheLongForm) {
  const ParsedAnswer answer = chinese(AnswerKind::kTriples,
                                      "具有病理分型关系的头尾实体对如下：头实体为甲，尾实体为乙。头实体为丙，尾实体为丁"
                                      "。\n具有相关（症状）关系的头尾实体对如下：\n"
                                      "具有相关（转化）关系的头尾实体对如下：头实体为甲，尾实体为戊；己。",
                                      {"病理分型", "相关（症状）"});
  EXPECT_THAT(answer.items,
              UnorderedElementsAre("甲 | 病理分型 | 乙", "丙 | 病理分型 | 丁", "甲 | 相关（转化） | 戊；己"));
  EXPECT_THAT(answer.off_list, ElementsAre("甲 | 相关（转化） | 戊；己"));
  EXPECT_FALSE(answer.malformed());
}

TEST(PromptCblueAnswer, TriplesInTheShortForm) {
  const ParsedAnswer answer = chinese(AnswerKind::kTriples,
                                      "上述句子中临床表现关系的实体对如下：\n头实体：甲，尾实体：乙；头实体：甲，尾实体"
                                      "：丙；\n上述句子中同义词关系的实体对如下：");
  EXPECT_THAT(answer.items, UnorderedElementsAre("甲 | 临床表现 | 乙", "甲 | 临床表现 | 丙"));
  EXPECT_FALSE(answer.malformed());
}

TEST(PromptCblueAnswer, TripleWithoutRelationOrTailIsUnreadable) {
  EXPECT_THAT(chinese(AnswerKind::kTriples, "头实体为甲，尾实体为乙。").items, IsEmpty());
  EXPECT_TRUE(chinese(AnswerKind::kTriples, "头实体为甲，尾实体为乙。").malformed());
  EXPECT_TRUE(chinese(AnswerKind::kTriples, "具有同义词关系的头尾实体对如下：头实体为甲。").malformed());
}

TEST(PromptCblueAnswer, TermsAreSplitAtFullWidthCommasOfTheLastLine) {
  const ParsedAnswer answer =
      chinese(AnswerKind::kSet, "标准词：\n管状腺瘤， 肿瘤,良性，管状腺瘤", {"管状腺瘤", "肿瘤,良性"});
  EXPECT_THAT(answer.items, UnorderedElementsAre("管状腺瘤", "肿瘤,良性"));
  EXPECT_THAT(answer.off_list, IsEmpty());
  EXPECT_THAT(chinese(AnswerKind::kSet, "没有对应的标准化实体", {"贲门溃疡"}).items, IsEmpty());
  EXPECT_FALSE(chinese(AnswerKind::kSet, "没有对应的标准化实体", {"贲门溃疡"}).malformed());
}

TEST(PromptCblueAnswer, EventsKeepTheirFourFields) {
  const ParsedAnswer answer =
      chinese(AnswerKind::kEvents,
              "上述句子中的临床发现事件如下：\n主体词：包块；发生状态：不确定；描述词：；解剖部位：盆腔\n"
              "主体词：fish：pml/rara；发生状态：否定；描述词：甲， 乙；解剖部位：\n主体词：癌；解剖部位：肝门；胆管");
  EXPECT_THAT(answer.items, UnorderedElementsAre("主体词：包块；发生状态：不确定；描述词：；解剖部位：盆腔",
                                                 "主体词：fish：pml/rara；发生状态：否定；描述词：甲，乙；解剖部位：",
                                                 "主体词：癌；发生状态：；描述词：；解剖部位：肝门；胆管"));
  EXPECT_FALSE(answer.malformed());
}

TEST(PromptCblueAnswer, FindingsWithAndWithoutTheHeadingLine) {
  const std::vector<std::string> statuses = {"已有症状", "未患有"};
  const ParsedAnswer with =
      chinese(AnswerKind::kPairs, "上述对话中临床发现实体以及其阴阳性判别如下：\n腹泻：已有症状\n量多：未知", statuses);
  EXPECT_THAT(with.items, UnorderedElementsAre("腹泻：已有症状", "量多：未知"));
  EXPECT_THAT(with.off_list, ElementsAre("量多：未知"));
  EXPECT_THAT(chinese(AnswerKind::kPairs, "腹泻：已有症状", statuses).items, ElementsAre("腹泻：已有症状"));
  EXPECT_TRUE(chinese(AnswerKind::kPairs, "腹泻：已有症状\n量多：", statuses).malformed());
}

TEST(PromptCblueAnswer, EntitiesOfEachTypeAndNone) {
  const ParsedAnswer answer = chinese(
      AnswerKind::kEntities, "上述句子中的实体包含：\n症状实体：病毒感染，贫血\n药物类别实体：", {"症状", "药物类别"});
  EXPECT_THAT(answer.items, UnorderedElementsAre("症状：病毒感染", "症状：贫血"));
  EXPECT_FALSE(answer.malformed());
  EXPECT_FALSE(chinese(AnswerKind::kEntities, "上述句子没有指定类型实体", {"症状"}).malformed());
  EXPECT_TRUE(chinese(AnswerKind::kEntities, "我不知道", {"症状"}).malformed());
}

TEST(PromptCblueAnswer, NoneOfTheTypesIsAlwaysAListedLabel) {
  EXPECT_THAT(chinese(AnswerKind::kLabel, "非上述类型", {"诊断"}).off_list, IsEmpty());
  EXPECT_THAT(chinese(AnswerKind::kLabel, "诊断书", {"诊断"}).off_list, ElementsAre("诊断书"));
}

TEST(PromptCblueAnswer, ReportIsReadBySection) {
  EXPECT_THAT(report_sections("上述问诊对话的诊疗报告如下：\n主诉：咳嗽。\n既往史：\n建议：多饮水：勤拍背"),
              ElementsAre(Pair("主诉", "咳嗽。"), Pair("既往史", ""), Pair("建议", "多饮水：勤拍背")));
  EXPECT_THAT(report_sections("a plain text"), IsEmpty());
}

TEST(AnswerGrammar, IsChosenByTheGoldAnswerOrTheChoices) {
  const std::vector<std::string> none, choices = {"AIDS", "艾滋病"};
  EXPECT_EQ(resolve_grammar(Grammar::kAuto, "Neoplasms", none), Grammar::kPlain);
  EXPECT_EQ(resolve_grammar(Grammar::kAuto, "肿瘤", none), Grammar::kPromptCblue);
  EXPECT_EQ(resolve_grammar(Grammar::kAuto, "AIDS", choices), Grammar::kPromptCblue);
  EXPECT_EQ(resolve_grammar(Grammar::kPlain, "肿瘤", choices), Grammar::kPlain);
}

TEST(AnswerGrammar, UnknownNameIsNamedWithTheNearest) {
  try {
    grammar_from_name("promptblue", "run.yaml:3");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_THAT(error.what(),
                ::testing::AllOf(::testing::HasSubstr("run.yaml:3"), ::testing::HasSubstr("`promptcblue`")));
  }
}

class HostileAnswer : public ::testing::TestWithParam<std::pair<AnswerKind, Grammar>> {};

TEST_P(HostileAnswer, NeverThrowsAndIsCountedAsMalformedOrRead) {
  const auto [kind, grammar] = GetParam();
  const std::vector<std::string> choices = {"site", "present", "甲"};
  const auto read = [&](std::string_view text) { return parse_answer(text, {kind, grammar, choices}); };

  for (const char* empty : {"", " ", "\n\r\n\t", "\xE3\x80\x80"}) {
    EXPECT_THAT(read(empty).unreadable, ElementsAre("")) << "empty";
    EXPECT_THAT(read(empty).items, IsEmpty());
  }
  for (const std::string& bad :
       {std::string("\xFF\xFE"), std::string("a\xC3"), std::string("\xED\xA0\x80"), std::string("\xF8\x88")}) {
    const ParsedAnswer answer = read(bad);
    EXPECT_TRUE(answer.malformed());
    for (const std::string& part : answer.unreadable) EXPECT_FALSE(first_invalid_utf8(part));
    for (const std::string& part : answer.items) EXPECT_FALSE(first_invalid_utf8(part));
  }
  const std::vector<std::string> pieces = {"(",
                                           ")",
                                           "|",
                                           ";",
                                           ":",
                                           "\n",
                                           "；",
                                           "：",
                                           "，",
                                           "。",
                                           "头实体为",
                                           "关系的头尾实体对如下",
                                           "实体：",
                                           "主体词：",
                                           "none",
                                           "没有",
                                           "x",
                                           "甲",
                                           std::string(1, '\0'),
                                           "\r",
                                           "具有"};
  uint64_t state = 7;
  for (int round = 0; round < 4000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      text += pieces[(state >> 33) % pieces.size()];
    }
    const ParsedAnswer answer = read(text);
    for (const std::string& item : answer.off_list) EXPECT_TRUE(answer.items.contains(item));
    for (const std::string& item : answer.items) EXPECT_FALSE(item.empty());
  }
}

TEST_P(HostileAnswer, ReadsMegabytesQuicklyAndCountsRepetitionOnce) {
  const auto [kind, grammar] = GetParam();
  std::string repeated;
  while (repeated.size() < 4'000'000) repeated += "((( a | b\n";
  const auto start = std::chrono::steady_clock::now();
  const ParsedAnswer answer = parse_answer(repeated, {kind, grammar, {}});
  EXPECT_LE(answer.items.size() + answer.unreadable.size(), 2u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

INSTANTIATE_TEST_SUITE_P(EveryKindAndGrammar, HostileAnswer, ::testing::ValuesIn([] {
                           std::vector<std::pair<AnswerKind, Grammar>> all;
                           for (const AnswerKind kind :
                                {AnswerKind::kLabel, AnswerKind::kSet, AnswerKind::kTriples, AnswerKind::kEvents,
                                 AnswerKind::kPairs, AnswerKind::kEntities, AnswerKind::kText}) {
                             for (const Grammar grammar : {Grammar::kPlain, Grammar::kPromptCblue})
                               all.emplace_back(kind, grammar);
                           }
                           return all;
                         }()),
                         [](const auto& info) {
                           return std::string(answer_kind_name(info.param.first)) +
                                  (info.param.second == Grammar::kPlain ? "_plain" : "_promptcblue");
                         });

}  // namespace
}  // namespace moelora::eval
