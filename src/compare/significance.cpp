#include "compare/significance.h"

#include <algorithm>
#include <map>

#include "eval/rescore.h"

namespace moelora::compare {
namespace {

constexpr uint64_t kSeed = 20240101;  // the same resamples whenever a report is made
constexpr uint32_t kSeedStratum = 0;

bool same_rows(const Result& one, const Result& other) {
  return std::ranges::equal(one.tasks, other.tasks, [](const TaskResult& a, const TaskResult& b) {
    return a.task == b.task && a.metric == b.metric && a.groups == b.groups;
  });
}

/// The same seeds, and the same rows with all of them.
bool can_be_paired(const VariantResults& a, const VariantResults& b) {
  if (!std::ranges::equal(a.seeds, b.seeds, {}, &Result::seed, &Result::seed)) return false;
  const auto as_the_first = [&](const Result& one) { return same_rows(one, a.seeds.front()); };
  return std::ranges::all_of(a.seeds, as_the_first) && std::ranges::all_of(b.seeds, as_the_first);
}

/// Tasks whose test rows have groups in common, directly or through others, and those groups.
struct Stratum {
  std::vector<size_t> tasks;
  std::map<int64_t, size_t> place;  // of each group among the stratum's
};

std::vector<Stratum> strata_of(const std::vector<TaskResult>& tasks) {
  std::vector<Stratum> strata;
  for (size_t t = 0; t < tasks.size(); ++t) {
    Stratum joined{.tasks = {t}};
    for (const int64_t group : tasks[t].groups) joined.place.try_emplace(group, 0);
    const auto shares_a_group = [&](const Stratum& other) {
      return std::ranges::any_of(other.place, [&](const auto& entry) { return joined.place.contains(entry.first); });
    };
    for (auto other = strata.begin(); other != strata.end();) {
      if (!shares_a_group(*other)) {
        ++other;
        continue;
      }
      joined.tasks.insert(joined.tasks.begin(), other->tasks.begin(), other->tasks.end());
      joined.place.merge(other->place);
      other = strata.erase(other);
    }
    strata.push_back(std::move(joined));
  }
  for (Stratum& stratum : strata) {
    size_t next = 0;
    for (auto& [group, place] : stratum.place) place = next++;
  }
  return strata;
}

/// Which rows a resample has: counts[t][row]. A draw that leaves a task of the stratum without any row is drawn again.
class RowDraws {
 public:
  RowDraws(const std::vector<TaskResult>& tasks, uint64_t seed)
      : seed_(seed), strata_(strata_of(tasks)), places_(tasks.size()), counts_(tasks.size()) {
    for (const Stratum& stratum : strata_) {
      for (const size_t t : stratum.tasks) {
        for (const int64_t group : tasks[t].groups) places_[t].push_back(stratum.place.at(group));
        counts_[t].resize(places_[t].size());
      }
    }
  }

  const std::vector<std::vector<int64_t>>& draw(uint64_t resample) {
    for (size_t s = 0; s < strata_.size(); ++s) {
      uint32_t stream = kSeedStratum + 1 + static_cast<uint32_t>(s);
      while (!draw(strata_[s], resample, stream)) stream += static_cast<uint32_t>(strata_.size());
    }
    return counts_;
  }

 private:
  /// False where a task that has rows got none.
  bool draw(const Stratum& stratum, uint64_t resample, uint32_t stream) {
    const std::vector<int64_t> groups = draw_with_replacement(std::ssize(stratum.place), seed_, resample, stream);
    for (const size_t t : stratum.tasks) {
      int64_t rows = 0;
      for (size_t row = 0; row < places_[t].size(); ++row) rows += counts_[t][row] = groups[places_[t][row]];
      if (rows == 0 && !places_[t].empty()) return false;
    }
    return true;
  }

  uint64_t seed_;
  std::vector<Stratum> strata_;
  std::vector<std::vector<size_t>> places_;  // of each task's rows: their groups' in the stratum
  std::vector<std::vector<int64_t>> counts_;
};

}  // namespace

Difference bootstrap_difference(const std::vector<Result>& variant, const std::vector<Result>& reference,
                                int64_t resamples, uint64_t seed) {
  const int64_t seeds = static_cast<int64_t>(variant.size());
  const size_t tasks = variant.front().tasks.size();
  std::vector<double> estimate(tasks, 0.0);
  for (int64_t s = 0; s < seeds; ++s) {
    for (size_t t = 0; t < tasks; ++t) {
      estimate[t] += (variant[s].tasks[t].score - reference[s].tasks[t].score) / static_cast<double>(seeds);
    }
  }
  std::vector<std::vector<double>> by_task(tasks, std::vector<double>(resamples, 0.0));
  std::vector<double> mean(resamples, 0.0);
  RowDraws rows(variant.front().tasks, seed);
  for (int64_t i = 0; i < resamples; ++i) {
    const uint64_t resample = static_cast<uint64_t>(i);
    const std::vector<int64_t> drawn = draw_with_replacement(seeds, seed, resample, kSeedStratum);
    const std::vector<std::vector<int64_t>>& counts = rows.draw(resample);
    for (size_t t = 0; t < tasks; ++t) {
      for (int64_t s = 0; s < seeds; ++s) {
        if (drawn[s] == 0) continue;
        const TaskResult &own = variant[s].tasks[t], &other = reference[s].tasks[t];
        const double difference =
            eval::rescore(own.metric, own.rows, counts[t]) - eval::rescore(own.metric, other.rows, counts[t]);
        by_task[t][i] += static_cast<double>(drawn[s]) * difference / static_cast<double>(seeds);
      }
      mean[i] += by_task[t][i] / static_cast<double>(tasks);
    }
  }
  Difference found;
  double mean_estimate = 0;
  for (size_t t = 0; t < tasks; ++t) {
    mean_estimate += estimate[t] / static_cast<double>(tasks);
    found.tasks.push_back(summarise_bootstrap(estimate[t], std::move(by_task[t])));
  }
  found.mean = summarise_bootstrap(mean_estimate, std::move(mean));
  found.p_holm = found.mean.p;
  return found;
}

std::vector<std::optional<Difference>> differences(const Comparison& comparison) {
  std::vector<std::optional<Difference>> all(comparison.variants.size());
  std::map<std::string, std::vector<size_t>> families;  // compared with the reference of the same swept values
  for (size_t i = 0; i < all.size(); ++i) {
    const VariantResults& one = comparison.variants[i];
    const auto reference = std::ranges::find_if(
        comparison.variants, [&](const VariantResults& other) { return is_reference_of(other.variant, one.variant); });
    if (one.variant.reference || reference == comparison.variants.end() || !can_be_paired(one, *reference)) continue;
    all[i] = bootstrap_difference(one.seeds, reference->seeds, comparison.spec.resamples, kSeed);
    families[one.variant.sweep].push_back(i);
  }
  for (const auto& [sweep, members] : families) {
    std::vector<double> p;
    for (const size_t i : members) p.push_back(all[i]->mean.p);
    const std::vector<double> adjusted = holm(p);
    for (size_t m = 0; m < members.size(); ++m) all[members[m]]->p_holm = adjusted[m];
  }
  return all;
}

}  // namespace moelora::compare
