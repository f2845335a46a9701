// What PEFT, LLaMA-Factory, TRL and transformers call things, for people who come from there.
#include <map>
#include <string>
#include <vector>

#include "config/fields.h"
#include "core/suggest.h"

namespace moelora::config {
namespace {

const std::map<std::string, std::string>& foreign_keys() {
  static const std::map<std::string, std::string> keys = {
      {"model_name_or_path", "model"},
      {"base_model", "model"},
      {"base_model_name_or_path", "model"},
      {"dataset", "data"},
      {"dataset_dir", "data"},
      {"dataset_path", "data"},
      {"dataset_name", "data"},
      {"train_file", "data.sources"},
      {"output_dir", "output"},
      {"finetuning_type", "adapter.method"},
      {"peft_type", "adapter.method"},
      {"r", "adapter.rank"},
      {"lora_r", "adapter.rank"},
      {"lora_rank", "adapter.rank"},
      {"lora_alpha", "adapter.alpha"},
      {"lora_dropout", "adapter.dropout"},
      {"lora_target", "adapter.targets"},
      {"lora_target_modules", "adapter.targets"},
      {"target_modules", "adapter.targets"},
      {"init_lora_weights", "adapter.init_a"},
      {"num_experts", "adapter.experts"},
      {"expert_num", "adapter.experts"},
      {"lora_nums", "adapter.experts"},
      {"task_embedding_dim", "adapter.gate.embedding_size"},
      {"cutoff_len", "data.max_length"},
      {"max_seq_length", "data.max_length"},
      {"max_seq_len", "data.max_length"},
      {"model_max_length", "data.max_length"},
      {"max_source_length", "data.max_length"},
      {"max_samples", "tasks.<task>.max_rows"},
      {"eval_dataset", "data.sources"},
      {"mix_strategy", "train.temperature"},
      {"interleave_probs", "tasks.<task>.share"},
      {"adapter_name_or_path", "adapter.start"},
      {"num_train_epochs", "train.epochs"},
      {"num_epochs", "train.epochs"},
      {"per_device_train_batch_size", "train.batch_size"},
      {"train_batch_size", "train.batch_size"},
      {"micro_batch_size", "train.tokens_per_batch"},
      {"lr", "train.learning_rate"},
      {"lr_scheduler_type", "train.schedule"},
      {"lr_scheduler", "train.schedule"},
      {"warmup_steps", "train.warmup_ratio"},
      {"max_grad_norm", "train.clip"},
      {"adam_beta1", "train.beta1"},
      {"adam_beta2", "train.beta2"},
      {"adam_epsilon", "train.epsilon"},
      {"gradient_checkpointing", "train.recompute"},
      {"quantization_bit", "quantization"},
      {"load_in_8bit", "quantization"},
      {"load_in_4bit", "quantization"},
      {"bnb_4bit_quant_type", "quantization"},
      {"torch_dtype", "train.dtype"},
      {"bf16", "train.dtype"},
      {"fp16", "train.dtype"},
      {"logging_steps", "train.log_every"},
      {"eval_steps", "eval.every_steps"},
      {"per_device_eval_batch_size", "eval.batch_size"},
      {"predict_with_generate", "eval.generate"},
      {"metric_for_best_model", "eval.best"},
      {"early_stopping_patience", "eval.patience"},
      {"save_steps", "checkpoint.every_steps"},
      {"save_total_limit", "checkpoint.keep"},
      {"system_prompt", "template.system"},
      {"chat_template_kwargs", "template.options"},
      {"enable_thinking", "template.options.enable_thinking"},
  };
  return keys;
}

const std::map<std::string, std::string>& foreign_habits() {
  static const std::map<std::string, std::string> habits = {
      {"gradient_accumulation_steps",
       "not needed: `train.batch_size` counts the samples of an optimizer step, `train.tokens_per_batch` bounds the "
       "memory"},
      {"packing", "not needed: batches are always packed, without attention between samples"},
      {"neat_packing", "not needed: batches are always packed, without attention between samples"},
      {"group_by_length", "not needed: packed batches hold no padding, whatever the lengths"},
      {"train_on_prompt",
       "not needed: the loss is always of the answer and its end token alone; rows of the format `text` are learned "
       "whole"},
      {"load_best_model_at_end",
       "not needed: the best checkpoint is always what a run gives; `eval.best` says by what"},
      {"optim", "not needed: the optimizer is AdamW"},
      {"bias", "not needed: biases are never trained with an adapter"},
      {"use_rslora", "the scale is alpha / rank: for alpha / sqrt(rank) multiply `adapter.alpha` by sqrt(rank)"},
      {"use_dora", "not there: the update is a product of two matrices, so that each task collapses into a plain LoRA"},
      {"modules_to_save", "not there: an adapter trains its linears only; `adapter.method: full` trains everything"},
      {"rank_pattern", "not there: every adapted linear has `adapter.rank`"},
      {"alpha_pattern", "not there: every adapted linear has `adapter.alpha`"},
      {"task_type",
       "not needed: the model is always a causal language model; a row's own `task_type` decides its metric"},
      {"stage", "not needed: training is always supervised fine-tuning"},
      {"val_size", "not there: nothing is split off the training rows, dev rows are files of their own"},
      {"mask_history", "not needed: of a conversation the last answer alone is learned"},
      {"eval_strategy", "not needed: `eval.every_steps` says how often, once an epoch by default"},
      {"evaluation_strategy", "not needed: `eval.every_steps` says how often, once an epoch by default"},
      {"save_strategy", "not needed: `checkpoint.every_steps` says how often, with every evaluation by default"},
      {"save_only_model", "not there: a checkpoint holds what an exact resumption needs"},
      {"overwrite_output_dir", "not there: nothing is overwritten; give another `output`, or --resume"},
      {"overwrite_cache", "not needed: there is no cache of tokenized rows"},
      {"preprocessing_num_workers", "not needed: rows are read and tokenized by all `train.threads`"},
      {"dataloader_num_workers", "not needed: rows are read and tokenized before the first step"},
      {"trust_remote_code", "not there: no code of a model's directory is ever run"},
      {"flash_attn", "not needed: attention never keeps its scores"},
      {"neftune_noise_alpha", "not there: nothing is added to the embeddings"},
      {"deepspeed", "not there: a run is one process on one machine"},
      {"ddp_timeout", "not there: a run is one process on one machine"},
      {"plot_loss", "not needed: metrics.jsonl and TensorBoard events are always written"},
      {"do_train", "not needed: `moelora train` trains, `moelora eval` evaluates"},
      {"resume_from_checkpoint", "say --resume on the command line"},
      {"report_to", "not needed: metrics.jsonl and TensorBoard events are always written"},
  };
  return habits;
}

}  // namespace

std::string foreign_key_hint(const std::string& key) {
  if (const auto known = foreign_keys().find(key); known != foreign_keys().end()) {
    return "here it is `" + known->second + "`";
  }
  if (const auto known = foreign_habits().find(key); known != foreign_habits().end()) return known->second;
  std::string homes;
  for (const auto& field : run_fields()) {
    if (field.key == key || field.key.ends_with("." + key)) homes += (homes.empty() ? "`" : " or `") + field.key + "`";
  }
  if (!homes.empty()) return "did you mean " + homes + "?";
  for (const auto& field : task_fields()) {
    if (field.key == key) return "did you mean `tasks.<task>." + key + "`?";
  }
  return "";
}

std::string similar_key_hint(const std::string& key) {
  std::vector<std::string> names;
  for (const auto& field : run_fields()) names.push_back(field.key.substr(field.key.rfind('.') + 1));
  const std::string nearest = nearest_name(key, names);
  return nearest.empty() ? "" : foreign_key_hint(nearest);
}

}  // namespace moelora::config
