"""Writes what tokenizers and transformers make of the texts, conversations and templates of expected_*.py.

  make_expected.py FOLDER

FOLDER/encode_NAME.json, chat.json, templates.json, assets/, sentencepiece/. Needs .deps/tokenizers (scripts/fetch-tokenizers).
"""
import hashlib
import json
import pathlib
import sys

import expected_assets
import expected_chats
import expected_sentencepiece
import expected_templates
import expected_texts
from tokenizers import Tokenizer
from transformers import AutoTokenizer
from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent
MODELS = HERE.parents[1] / ".deps" / "tokenizers"
NAMES = ("qwen3", "llama3_1", "llama2", "gemma3")
# transformers 5 builds Llama-2's tokenizer anew instead of using the model's tokenizer.json, and loses spaces that the model was
# trained with ("  a" is one token fewer); `tokenizers` on the file is the reference there. The package has no template either.
REBUILT_BY_TRANSFORMERS = ("llama2",)


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def encodings(name):
    plain = Tokenizer.from_file(str(MODELS / name / "tokenizer.json"))
    auto = AutoTokenizer.from_pretrained(MODELS / name)
    cases = []
    for text in expected_texts.texts():
        ids = plain.encode(text).ids
        bare = plain.encode(text, add_special_tokens=False).ids
        if name not in REBUILT_BY_TRANSFORMERS:
            assert (ids, bare) == (auto.encode(text), auto.encode(text, add_special_tokens=False)), (name, text[:100])
        cases.append({"text": text, "ids": ids, "bare": bare, "decoded": plain.decode(ids, skip_special_tokens=False),
                      "decoded_bare": plain.decode(ids, skip_special_tokens=True)})
    special = sorted(i for i, token in plain.get_added_tokens_decoder().items() if token.special)
    vocab = plain.get_vocab(with_added_tokens=True)
    return {"cases": cases, "vocab_size": len(vocab), "id_limit": max(vocab.values()) + 1, "special": special,
            "tokens": {token: auto.convert_tokens_to_ids(token) for token in auto.special_tokens_map.values()},
            "named": {key: value for key, value in auto.special_tokens_map.items()}}


def outcome(render):
    try:
        return {"text": render()}
    except Exception as error:  # whatever Jinja2 or Python says: it is an error
        return {"error": f"{type(error).__name__}: {error}"}


def chats():
    result = []
    for name in NAMES:
        tokenizer = AutoTokenizer.from_pretrained(MODELS / name)
        template = HERE / "templates" / f"{name}.jinja"
        if tokenizer.chat_template is None:
            tokenizer.chat_template = template.read_text(encoding="utf-8")
        for messages_name, arguments in expected_chats.cases():
            messages = expected_chats.CONVERSATIONS[messages_name]
            rendered = outcome(lambda: tokenizer.apply_chat_template(messages, tokenize=False, **arguments))
            variables = {key: value for key, value in arguments.items() if key != "add_generation_prompt"}
            result.append({"model": name, "case": messages_name, "messages": messages,
                           "add_generation_prompt": arguments.get("add_generation_prompt", False), "variables": variables, **rendered})
            if "text" in rendered and name not in REBUILT_BY_TRANSFORMERS:
                result[-1]["ids"] = tokenizer.apply_chat_template(messages, **arguments)["input_ids"]
    return result


def templates():
    messages = [{"role": "user", "content": "x"}]
    result = []
    for source in expected_templates.TEMPLATES:
        def render():
            return render_jinja_template([messages], chat_template=source, **expected_templates.CONTEXT)[0][0]
        result.append({"source": source, **outcome(render)})
    return {"messages": messages, "variables": expected_templates.CONTEXT, "cases": result}


def main():
    folder = pathlib.Path(sys.argv[1])
    missing = [name for name in NAMES if not (MODELS / name / "tokenizer.json").exists()]
    if missing:
        sys.exit(f"no tokenizers {', '.join(missing)} in {MODELS}: run scripts/fetch-tokenizers")
    folder.mkdir(parents=True, exist_ok=True)
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(HERE.rglob("*")) if path.suffix in (".py", ".jinja"))).hexdigest()
    done = folder / "done"
    if done.exists() and done.read_text() == stamp:
        return
    for name in NAMES:
        write(folder / f"encode_{name}.json", encodings(name))
    write(folder / "chat.json", chats())
    write(folder / "templates.json", templates())
    expected_assets.write_directories(folder / "assets")
    expected_sentencepiece.write_all(folder / "sentencepiece")
    done.write_text(stamp)


if __name__ == "__main__":
    main()
