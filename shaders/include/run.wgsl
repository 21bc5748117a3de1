// The lengths of one run: one small buffer, so that the device itself can move on to the next
// token. `capacity` is the number of positions a state has room for.
struct Run {
  past_len: u32,
  q_len: u32,
  kv_len: u32,
  batch: u32,
  rows: u32,
  capacity: u32,
  positions: u32,  // batch · q_len
  selected: u32,   // batch · rows
  source_len: u32, // positions of the longest source
  candidates: u32, // words whose logits are wanted
}
@group(0) @binding(0) var<uniform> run: Run;

// Which of the run's lengths counts the rows of a kernel's input: 0 positions, 1 selected rows,
// 2 sequences.
override ROWS_OF: u32 = 0u;
override ROWS_PER: u32 = 1u;  // rows of each, such as heads
fn row_count() -> u32 {
  let rows = select(run.positions, run.selected, ROWS_OF == 1u);
  return select(rows, run.batch, ROWS_OF == 2u) * ROWS_PER;
}
