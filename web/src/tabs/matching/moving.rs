//! Moving through the grid with the keyboard: Tab goes to one cell, arrow keys from there to others.

use super::table::Cell;

/// Row and column.
pub type At = (usize, usize);

type Rows = [Vec<Option<Cell>>];

/// The cell with a number that is nearest to a place.
pub fn nearest(rows: &Rows, to: At) -> Option<At> {
    let cells = rows.iter().enumerate().flat_map(|(i, row)| {
        let known = row.iter().enumerate().filter(|(_, cell)| cell.is_some());
        known.map(move |(j, _)| (i, j))
    });
    cells.min_by_key(|(i, j)| (i.abs_diff(to.0), j.abs_diff(to.1)))
}

/// The next cell with a number in the direction of an arrow key.
pub fn next(rows: &Rows, from: At, key: &str) -> Option<At> {
    let has = |&(i, j): &At| matches!(rows.get(i).and_then(|row| row.get(j)), Some(Some(_)));
    let (row, column) = from;
    let columns = rows.first().map_or(0, Vec::len);
    match key {
        "ArrowUp" => (0..row).rev().map(|i| (i, column)).find(has),
        "ArrowDown" => (row + 1..rows.len()).map(|i| (i, column)).find(has),
        "ArrowLeft" => (0..column).rev().map(|j| (row, j)).find(has),
        "ArrowRight" => (column + 1..columns).map(|j| (row, j)).find(has),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_without_numbers_are_passed_over() {
        let cell = Some(Cell {
            cosine: 0.1,
            of_texts: 0.5,
            of_pictures: 0.5,
        });
        let full = vec![cell, None, cell];
        let rows = [vec![None; 3], full.clone(), vec![None; 3], full];
        assert_eq!(nearest(&rows, (0, 0)), Some((1, 0)));
        assert_eq!(nearest(&rows, (9, 1)), Some((3, 0)));
        assert_eq!(nearest(&rows[..1], (0, 0)), None);
        assert_eq!(next(&rows, (1, 0), "ArrowDown"), Some((3, 0)));
        assert_eq!(next(&rows, (1, 0), "ArrowRight"), Some((1, 2)));
        assert_eq!(next(&rows, (3, 2), "ArrowUp"), Some((1, 2)));
        assert_eq!(next(&rows, (1, 0), "ArrowUp"), None);
        assert_eq!(next(&rows, (1, 0), "a"), None);
    }
}
