//! The byte-level alphabet of GPT-2: a printable character for each of the 256 bytes.
//!
//! A byte that is a visible Latin-1 character stands for itself; the other 68 are U+0100, U+0101, … in order.

/// Bytes without a visible Latin-1 character, in order: the n-th is written as U+0100 + n.
const fn invisible() -> [u8; 68] {
    let mut table = [0; 68];
    let (mut byte, mut n) = (0_usize, 0);
    while byte < 256 {
        if !is_visible(byte as u8) {
            table[n] = byte as u8;
            n += 1;
        }
        byte += 1;
    }
    table
}

const fn is_visible(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF)
}

static INVISIBLE: [u8; 68] = invisible();

fn byte_of(character: char) -> Option<u8> {
    match u32::from(character) {
        code @ 0..=0xFF => {
            let byte = code as u8;
            is_visible(byte).then_some(byte)
        }
        code => INVISIBLE.get(code as usize - 0x100).copied(),
    }
}

/// Appends the bytes that `token` stands for. A token with a character outside the alphabet stands for itself.
pub(crate) fn append(token: &str, out: &mut Vec<u8>) {
    let start = out.len();
    for character in token.chars() {
        match byte_of(character) {
            Some(byte) => out.push(byte),
            None => {
                out.truncate(start);
                out.extend_from_slice(token.as_bytes());
                return;
            }
        }
    }
}

/// Moves the text that is certain from `pending` to the result, and leaves the bytes of an unfinished character.
/// A sequence of bytes that can never become a character gives one U+FFFD, as in [`String::from_utf8_lossy`].
pub(crate) fn take_text(pending: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut rest = pending.as_slice();
    loop {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                text.push_str(valid);
                rest = &[];
                break;
            }
            Err(error) => {
                let (valid, after) = rest.split_at(error.valid_up_to());
                text.push_str(&String::from_utf8_lossy(valid));
                match error.error_len() {
                    Some(length) => {
                        text.push(char::REPLACEMENT_CHARACTER);
                        rest = &after[length..];
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
        }
    }
    let taken = pending.len() - rest.len();
    pending.drain(..taken);
    text
}

/// Text of one token shown on its own: bytes that are no whole character are written `<0xE2>`.
pub(crate) fn visible_text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("<0x{byte:02X}>"));
        }
    }
    text
}

#[cfg(test)]
pub(crate) fn character_of(byte: u8) -> char {
    if is_visible(byte) {
        char::from(byte)
    } else {
        let n = INVISIBLE.iter().position(|&b| b == byte).unwrap_or(0);
        char::from_u32(0x100 + n as u32).unwrap_or('\u{FFFD}')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabet_is_the_one_of_the_tokenizers_crate() {
        let ours: Vec<char> = (0..=255).map(character_of).collect();
        let theirs = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet();
        assert_eq!(theirs.len(), 256);
        assert!(ours.iter().all(|c| theirs.contains(c)));
        for byte in 0..=255 {
            assert_eq!(byte_of(character_of(byte)), Some(byte));
        }
        // The known corners: space, newline, no-break space, soft hyphen, first UTF-8 byte of "â".
        assert_eq!(
            [b' ', b'\n', 0xA0, 0xAD, 0xC3].map(character_of),
            ['Ġ', 'Ċ', 'ł', 'Ń', 'Ã']
        );
        assert_eq!(byte_of('你'), None);
        assert_eq!(byte_of(' '), None);
    }

    #[test]
    fn token_outside_the_alphabet_stands_for_itself() {
        let mut out = b"x".to_vec();
        append("Ġa", &mut out);
        append("é 你", &mut out);
        assert_eq!(out, "x aé 你".as_bytes());
    }

    #[test]
    fn incomplete_characters_wait_and_broken_ones_do_not() {
        let mut pending = "a€".as_bytes()[..3].to_vec();
        assert_eq!(take_text(&mut pending), "a");
        assert_eq!(pending, [0xE2, 0x82]);
        pending.push(0xAC);
        assert_eq!(take_text(&mut pending), "€");
        pending.extend([0xE2, 0x82, b'b', 0xFF, 0xC3]);
        assert_eq!(take_text(&mut pending), "\u{FFFD}b\u{FFFD}");
        assert_eq!(pending, [0xC3]);
    }

    #[test]
    fn visible_text_names_stray_bytes() {
        assert_eq!(visible_text(b" \xE2\x82 a\xFF"), " <0xE2><0x82> a<0xFF>");
        assert_eq!(visible_text(" €".as_bytes()), " €");
    }
}
