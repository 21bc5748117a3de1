//! Numbers: models, tasks and translations beside PyTorch's, both backends beside each other, and sessions
//! beside themselves. One program, as linking the engine is most of what building a test takes.

mod golden;
mod small;

mod fill_mask;
mod golden_attention;
mod golden_bert;
mod golden_lens;
mod golden_llama;
mod golden_marian;
mod golden_match;
mod golden_rounding;
mod golden_sampling;
mod golden_tiny;
mod golden_tokenizer;
mod golden_translate;
mod golden_vision;
mod gpu;
mod gpu_choose;
mod gpu_generate;
mod gpu_half;
mod quality_fill_mask;
mod sessions;
mod taps;
mod translate_together;
mod translator_attention;
