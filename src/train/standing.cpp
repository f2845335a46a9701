#include "train/standing.h"

namespace moelora::train {

bool Standing::add(const Best& evaluation, bool higher_is_better) {
  const bool improved = !best || (higher_is_better ? evaluation.value > best->value : evaluation.value < best->value);
  if (improved) best = evaluation;
  evaluations_without_improvement = improved ? 0 : evaluations_without_improvement + 1;
  return improved;
}

nlohmann::json Standing::to_json() const {
  nlohmann::json json = {{"evaluations_without_improvement", evaluations_without_improvement}};
  if (best) json["best"] = {{"step", best->step}, {"value", best->value}};
  return json;
}

Standing Standing::from_json(const nlohmann::json& json) {
  Standing standing{.evaluations_without_improvement = json.at("evaluations_without_improvement")};
  if (json.contains("best")) standing.best = Best{json["best"].at("step"), json["best"].at("value")};
  return standing;
}

}  // namespace moelora::train
