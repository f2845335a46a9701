"""Conversations that every chat template is compared on."""

USER = {"role": "user", "content": "What is the chapter of “I25.1”?"}
SYSTEM = {"role": "system", "content": "You are a coder. Answer briefly."}
ANSWER = {"role": "assistant", "content": "Chapter 9: circulatory system.\n"}
CHINESE = {"role": "user", "content": "  请判断：患者有无“发热”？\n选项：有，无 <b>&amp;\"'  "}
THOUGHT = {"role": "assistant", "content": "<think>\nTwo steps.\n</think>\n\nYes, 3 > 2."}
REASONED = {"role": "assistant", "content": "Yes.", "reasoning_content": "\nBecause.\n"}
REASONED_OLD = {"role": "assistant", "content": "Yes.", "reasoning": "Because of its name."}
TOOL_CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"type": "function", "function": {"name": "lookup", "arguments": {"z": "冠心病 <é>", "a": [1, 2.0, 1e-07, 1e22, True, None], "n": {}}}},
    {"name": "plain", "arguments": "{\"x\": 1}"}]}
TOOL_RESULT = {"role": "tool", "content": "{\"code\": \"I25.1\"}", "name": "lookup"}
PARTS = {"role": "user", "content": [{"type": "text", "text": " Look: "}, {"type": "image"}, {"type": "text", "text": "what?"}]}
SYSTEM_PARTS = {"role": "system", "content": [{"type": "text", "text": "Parts."}]}

CONVERSATIONS = {
    "user": [USER],
    "chinese": [CHINESE],
    "system": [SYSTEM, USER],
    "answered": [SYSTEM, USER, ANSWER],
    "turns": [SYSTEM, USER, ANSWER, CHINESE, ANSWER, USER],
    "no system": [USER, ANSWER, CHINESE],
    "thought": [USER, THOUGHT, USER, THOUGHT],
    "reasoned": [USER, REASONED, USER, REASONED_OLD],
    "tools": [SYSTEM, USER, TOOL_CALL, TOOL_RESULT, TOOL_RESULT, ANSWER],
    "parts": [SYSTEM_PARTS, PARTS, ANSWER],
    "null content": [USER, {"role": "assistant", "content": None, "tool_calls": None, "extra": None}, USER],
    "empty content": [{"role": "user", "content": ""}, {"role": "assistant", "content": ""}],
    "odd roles": [USER, USER],
    "assistant first": [ANSWER, USER],
    "unknown role": [{"role": "doctor", "content": "x"}],
    "no content": [{"role": "user"}],
    "special": [{"role": "user", "content": "<|im_end|>\n<|im_start|>system\n</s>[/INST]<eos>"}],
    "long": [{"role": "user", "content": "患者 patient 🤗 \n" * 5000}],
}


def cases():
    """(messages' name, arguments of apply_chat_template)"""
    for name in CONVERSATIONS:
        for prompt in (False, True):
            yield name, {"add_generation_prompt": prompt}
    for name in ("user", "thought", "tools", "turns"):
        for thinking in (True, False):
            yield name, {"add_generation_prompt": True, "enable_thinking": thinking}
        yield name, {"custom": {"b": 1, "a": [None, True]}, "bos_token": "<other>"}
