use super::super::picture::NUMBERED;
use super::*;

fn scene(n: usize, cursor: Option<(usize, usize)>) -> Scene {
    let words = ["The", "animal", "was", "tired"];
    let tokens = (0..n).map(|i| words[i % words.len()].to_owned());
    // Each token looks at the one before.
    let mut map = vec![0.0; n * n];
    for i in 0..n {
        map[i * n + i.saturating_sub(1)] = 1.0;
    }
    Scene {
        tokens: Arc::new(tokens.collect()),
        maps: vec![Arc::new(map)],
        causal: true,
        readers: None,
        cursor,
        room: 600.0,
    }
}

#[test]
fn arcs_of_a_known_sentence_as_svg() {
    let drawn = scene(4, None).arcs();
    let svg = drawn
        .picture
        .to_svg("Each looks at the one before", &|_| String::new());
    for word in ["The", "animal", "was", "tired"] {
        assert!(svg.contains(&format!(">{word}</text>")), "{word}");
    }
    // One arc for each token but the first, which has a disc.
    assert_eq!(svg.matches("<path").count(), 3);
    assert_eq!(svg.matches("<circle").count(), 1);
    assert!(!svg.contains("stroke-dasharray"));
    // Full weight is full width and full colour.
    assert_eq!(
        svg.matches("stroke-width=\"5.60\" stroke-opacity=\"1.000\"")
            .count(),
        3
    );
}

#[test]
fn heads_over_each_other_differ_in_colour_and_dashes() {
    let mut scene = scene(4, None);
    scene.maps.push(Arc::clone(&scene.maps[0]));
    let svg = scene.arcs().picture.to_svg("", &|_| String::new());
    assert_eq!(svg.matches("stroke-dasharray").count(), 3);
    assert!(svg.contains("#b35706") && svg.contains("#146a73"));
}

#[test]
fn many_tokens_stand_in_two_columns() {
    let drawn = scene(512, Some((9, 8))).arcs();
    assert!(matches!(drawn.places, Places::Columns(_, 512, _)));
    assert_eq!(
        drawn.places.hit(10.0, 30.0 + 18.0 * 7.5),
        Some(Hit::Query(7))
    );
    assert_eq!(drawn.places.hit(590.0, 30.0), Some(Hit::Key(0)));
    assert_eq!(drawn.places.hit(10.0, 5.0), None);
    // Only what is pointed at has its line.
    let curve = |shape: &&Shape| matches!(shape, Shape::Curve { .. });
    assert_eq!(drawn.picture.shapes.iter().filter(curve).count(), 1);
}

#[test]
fn places_are_found_again() {
    let drawn = scene(4, None).arcs();
    let Places::Row(tokens) = &drawn.places else {
        panic!("{:?}", drawn.places);
    };
    for (i, [left, right]) in tokens.iter().enumerate() {
        assert_eq!(
            drawn.places.hit((left + right) / 2.0, 0.0),
            Some(Hit::Query(i))
        );
    }
    let drawn = scene(4, None).matrix();
    let Places::Matrix([left, top], cell, _) = drawn.places else {
        panic!("{:?}", drawn.places);
    };
    let point = (left + 1.5 * cell, top + 3.5 * cell);
    assert_eq!(drawn.places.hit(point.0, point.1), Some(Hit::Cell(3, 1)));
    assert_eq!(drawn.places.hit(0.0, 0.0), None);
}

#[test]
fn readers_stand_beside_what_they_read() {
    // Two tokens read the other three.
    let mut scene = scene(5, Some((1, 4)));
    (scene.causal, scene.readers) = (false, Some(2));
    let drawn = scene.matrix();
    let Shape::Cells { rows, columns, .. } = &drawn.picture.shapes[0] else {
        panic!("{:?}", drawn.picture.shapes[0]);
    };
    assert_eq!((rows, columns), (&(0..2), &(2..5)));
    let Places::Matrix([left, top], cell, _) = drawn.places else {
        panic!("{:?}", drawn.places);
    };
    let hit = |column: f64, row: f64| drawn.places.hit(left + column * cell, top + row * cell);
    assert_eq!(hit(2.5, 1.5), Some(Hit::Cell(1, 4)));
    assert_eq!((hit(0.5, 2.5), hit(3.5, 0.5)), (None, None));
    // Six cells with their numbers, and what is pointed at lies in them.
    let svg = drawn.picture.to_svg("", &|_| String::new());
    assert_eq!(svg.matches("</title></rect>").count(), 6);
    assert!((drawn.picture.height - (top + 2.0 * cell + 2.0)).abs() < 1e-9);
}

#[test]
fn a_matrix_fits_or_has_numbers() {
    let numbered = |n: usize| {
        let drawn = scene(n, None).matrix();
        match drawn.picture.shapes[0] {
            Shape::Cells { cell, .. } => (cell >= NUMBERED, drawn.picture.width),
            _ => (false, 0.0),
        }
    };
    assert!(numbered(12).0);
    let (numbers, width) = numbered(512);
    assert!(!numbers && width < 640.0, "{width}");
}
