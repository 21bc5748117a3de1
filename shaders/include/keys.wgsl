// An attention's keys are those of its own sequence, or those of its sequence's source.
override OF_SOURCE: bool = false;

fn key_count() -> u32 {
  return select(run.kv_len, run.source_len, OF_SOURCE);
}
