//! Keys by name, as the browser wants them described.

use serde_json::{Value, json};

/// A key: its name, its place on the keyboard, its number, and the text it types.
struct Key {
    name: String,
    code: String,
    number: u32,
    text: String,
}

/// The events of pressing and letting go of a chord such as `Enter`, `a` or `Control+Shift+A`;
/// nothing if there is no key of that name.
pub(super) fn chord(chord: &str) -> Option<[Value; 2]> {
    // The last `+` may be the key itself.
    let (modifiers, name) = match chord.strip_suffix("++") {
        Some(modifiers) => (modifiers, "+"),
        None => chord
            .rsplit_once('+')
            .filter(|(_, name)| !name.is_empty())
            .unwrap_or(("", chord)),
    };
    let mut bits = 0;
    for modifier in modifiers.split('+').filter(|m| !m.is_empty()) {
        bits |= match modifier {
            "Alt" => 1,
            "Control" => 2,
            "Meta" => 4,
            "Shift" => 8,
            _ => return None,
        };
    }
    let key = find(name)?;
    let event = |kind: &str, text: &str| {
        json!({
            "type": kind, "modifiers": bits, "key": key.name, "code": key.code, "text": text,
            "windowsVirtualKeyCode": key.number,
            // What the browser does of its own accord is told apart from what it types.
            "commands": if bits == 2 && key.name.eq_ignore_ascii_case("a") { json!(["selectAll"]) } else { json!([]) },
        })
    };
    // With Control, Alt or Meta held, a key is a command and types nothing.
    let types = bits & !8 == 0 && !key.text.is_empty();
    let (down, text) = if types {
        ("keyDown", key.text.as_str())
    } else {
        ("rawKeyDown", "")
    };
    Some([event(down, text), event("keyUp", "")])
}

fn find(name: &str) -> Option<Key> {
    let (number, text) = match name {
        "Enter" => (13, "\r"),
        "Tab" => (9, ""),
        "Escape" => (27, ""),
        "Backspace" => (8, ""),
        "Delete" => (46, ""),
        "ArrowLeft" => (37, ""),
        "ArrowUp" => (38, ""),
        "ArrowRight" => (39, ""),
        "ArrowDown" => (40, ""),
        "PageUp" => (33, ""),
        "PageDown" => (34, ""),
        "End" => (35, ""),
        "Home" => (36, ""),
        "Space" | " " => (32, " "),
        _ => return character(name),
    };
    let plain = if name == "Space" { " " } else { name };
    let code = if name == " " { "Space" } else { name };
    Some(Key {
        name: plain.to_owned(),
        code: code.to_owned(),
        number,
        text: text.to_owned(),
    })
}

/// A key that types one ASCII character.
fn character(name: &str) -> Option<Key> {
    let mut letters = name.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else {
        return None;
    };
    if !letter.is_ascii_graphic() {
        return None;
    }
    let upper = letter.to_ascii_uppercase();
    let (code, number) = match letter {
        'a'..='z' | 'A'..='Z' => (format!("Key{upper}"), u32::from(upper)),
        '0'..='9' => (format!("Digit{letter}"), u32::from(letter)),
        // Where these are depends on the keyboard; pages go by the character.
        _ => (String::new(), 0),
    };
    Some(Key {
        name: letter.to_string(),
        code,
        number,
        text: letter.to_string(),
    })
}
