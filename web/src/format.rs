//! Numbers, sizes and durations as people read them.

/// Bytes in decimal units with one decimal, such as "98.4 MB".
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} bytes");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would print as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A large count in words of thousands: "134.5 million".
pub fn large(count: u64) -> String {
    let value = count as f64;
    if value >= 999.95e6 {
        format!("{:.1} billion", value / 1e9)
    } else if value >= 999.95e3 {
        format!("{:.1} million", value / 1e6)
    } else {
        grouped(count)
    }
}

/// A whole number with commas: "1,203".
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun: "1 token", "57 tokens".
pub fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// A measured time: "0.41 s", "12.3 s", "2 min 05 s".
pub fn seconds(value: f64) -> String {
    if value < 9.995 {
        format!("{value:.2} s")
    } else if value < 59.95 {
        format!("{value:.1} s")
    } else {
        let whole = value.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

/// What is left of a transfer, rounded as an estimate deserves: "about 12 s left".
pub fn time_left(value: f64) -> String {
    if value < 1.5 {
        "about 1 s left".into()
    } else if value < 20.0 {
        format!("about {value:.0} s left")
    } else if value < 57.5 {
        format!("about {:.0} s left", (value / 5.0).round() * 5.0)
    } else if value < 5400.0 {
        format!("about {:.0} min left", (value / 60.0).round().max(1.0))
    } else {
        format!("about {:.0} h left", value / 3600.0)
    }
}

/// Tokens per second: "38.2 tok/s".
pub fn rate(tokens_per_second: f64) -> String {
    if tokens_per_second >= 99.95 {
        format!("{tokens_per_second:.0} tok/s")
    } else {
        format!("{tokens_per_second:.1} tok/s")
    }
}

/// A probability in percent with about three digits that mean something: "45.2 %", "0.0310 %".
pub fn percent(probability: f64) -> String {
    let value = probability * 100.0;
    if value >= 99.995 && probability < 1.0 {
        "> 99.99 %".into()
    } else if value >= 10.0 {
        format!("{value:.1} %")
    } else if value >= 1.0 {
        format!("{value:.2} %")
    } else if value >= 0.01 {
        format!("{value:.4} %")
    } else {
        format!("{value:.1e} %")
    }
}

/// A share of a whole, where what is below a hundredth of a per cent is next to nothing: "45.2 %",
/// "< 0.01 %". [`percent`] has it exactly.
pub fn share(part: f64) -> String {
    match part {
        0.0 => "0 %".into(),
        part if part < 1e-4 => "< 0.01 %".into(),
        // What rounds to one hundred would look certain.
        part if part < 1e-2 || (0.9995..0.999_95).contains(&part) => {
            format!("{:.2} %", part * 100.0)
        }
        part => percent(part),
    }
}

/// "1 in 4": how often something this likely happens; empty when it nearly always does.
pub fn one_in(probability: f64) -> String {
    if !(0.0..0.67).contains(&probability) || probability == 0.0 {
        return String::new();
    }
    let times = 1.0 / probability;
    if times < 10.0 {
        format!("1 in {times:.1}")
    } else if times < 1e9 {
        format!("1 in {}", grouped(times.round() as u64))
    } else {
        "less than 1 in a billion".into()
    }
}

/// White space made visible, for places where a token stands alone.
pub fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            ' ' => '·',
            '\n' => '⏎',
            '\r' => '␍',
            '\t' => '⇥',
            '\u{a0}' => '⍽',
            c => c,
        })
        .collect()
}

/// Roughly the width of a text in the monospaced font; wide scripts take twice as much.
pub fn width_of(text: &str, size: f64) -> f64 {
    let wide = |c: char| matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xff00..=0xff60 | 0x1f300..=0x1faff);
    let units: f64 = text
        .chars()
        .map(|c| if wide(c) { 1.0 } else { 0.602 })
        .sum();
    units * size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_change_unit_before_they_reach_a_thousand() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(1000), "1.0 kB");
        assert_eq!(bytes(98_362_432), "98.4 MB");
        assert_eq!(bytes(999_960_000), "1.0 GB");
        assert_eq!(bytes(u64::MAX), "18446744.1 TB");
    }

    #[test]
    fn counts_are_grouped_from_the_right() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1203), "1,203");
        assert_eq!(grouped(49_152_000), "49,152,000");
        assert_eq!(large(134_515_008), "134.5 million");
        assert_eq!(large(999_970_000), "1.0 billion");
        assert_eq!(large(8192), "8,192");
        assert_eq!(counted(1, "token"), "1 token");
        assert_eq!(counted(0, "token"), "0 tokens");
    }

    #[test]
    fn durations_keep_the_digits_that_matter() {
        assert_eq!(seconds(0.412), "0.41 s");
        assert_eq!(seconds(9.996), "10.0 s");
        assert_eq!(seconds(59.97), "1 min 00 s");
        assert_eq!(seconds(125.0), "2 min 05 s");
        assert_eq!(time_left(0.2), "about 1 s left");
        assert_eq!(time_left(12.4), "about 12 s left");
        assert_eq!(time_left(47.0), "about 45 s left");
        assert_eq!(time_left(58.0), "about 1 min left");
        assert_eq!(time_left(7200.0), "about 2 h left");
    }

    #[test]
    fn probabilities_never_round_to_certain_or_impossible() {
        assert_eq!(percent(0.452), "45.2 %");
        assert_eq!(percent(1.0), "100.0 %");
        assert_eq!(percent(0.999_99), "> 99.99 %");
        assert_eq!(percent(0.000_31), "0.0310 %");
        assert_eq!(percent(3.1e-9), "3.1e-7 %");
        assert_eq!([0.000_1, 0.001_33].map(share), ["0.01 %", "0.13 %"]);
        assert_eq!([0.999_7, 0.999_97].map(share), ["99.97 %", "> 99.99 %"]);
        assert_eq!(
            [0.0, 5.5e-5, 0.452].map(share),
            ["0 %", "< 0.01 %", "45.2 %"]
        );
        assert_eq!(one_in(0.25), "1 in 4.0");
        assert_eq!(one_in(0.000_5), "1 in 2,000");
        assert_eq!(one_in(0.9), "");
        assert_eq!(one_in(0.0), "");
    }

    #[test]
    fn rates() {
        assert_eq!(rate(38.24), "38.2 tok/s");
        assert_eq!(rate(412.6), "413 tok/s");
    }

    #[test]
    fn white_space_becomes_visible() {
        assert_eq!(visible(" a\n\t"), "·a⏎⇥");
    }
}
