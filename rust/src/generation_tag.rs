//! `{% generation %}`: the tag with which templates mark what the assistant wrote. It changes nothing in the text; minijinja does
//! not know it, so it becomes `{% with %}`, which has the same scope.

/// The source with the tag replaced. Line numbers and white-space control stay.
pub fn accepted(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find('{') {
        let (before, tail) = rest.split_at(open);
        out.push_str(before);
        let end = match tail.as_bytes().get(1) {
            Some(b'#') => tail.find("#}").map_or(tail.len(), |at| at + 2),
            Some(b'{') => end_of_tag(tail, "}}"),
            Some(b'%') => {
                let end = end_of_tag(tail, "%}");
                if let Some(replacement) = replacement(&tail[..end]) {
                    out.push_str(&replacement);
                    rest = &tail[end..];
                    continue;
                }
                if word_of(&tail[..end]) == Some("raw") {
                    end_of_raw(tail, end)
                } else {
                    end
                }
            }
            _ => 1,
        };
        out.push_str(&tail[..end]);
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

/// `{%- generation -%}` → `{%- with -%}`, where the tag is one of ours.
fn replacement(tag: &str) -> Option<String> {
    let word = word_of(tag)?;
    let instead = match word {
        "generation" => "with",
        "endgeneration" => "endwith",
        _ => return None,
    };
    Some(tag.replacen(word, instead, 1))
}

/// The only word of a `{% word %}` tag.
fn word_of(tag: &str) -> Option<&str> {
    let inside = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let word = inside.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
    word.chars().all(|c| c.is_ascii_alphabetic()).then_some(word)
}

/// Where the tag that `text` starts with ends, strings inside it skipped.
fn end_of_tag(text: &str, close: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(2) {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if character == '\\' => escaped = true,
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if character == '\'' || character == '"' => quote = Some(character),
            None if text[at..].starts_with(close) => return at + close.len(),
            None => {}
        }
    }
    text.len()
}

fn end_of_raw(text: &str, start: usize) -> usize {
    let mut at = start;
    while let Some(found) = text[at..].find("{%") {
        let open = at + found;
        let Some(length) = text[open..].find("%}") else { break };
        let end = open + length + 2;
        if word_of(&text[open..end]) == Some("endraw") {
            return end;
        }
        at = open + 2;
    }
    text.len()
}
