//! Parts of the page that belong to no tab.

pub mod backend_badge;
pub mod canvas;
pub mod copy;
pub mod download;
pub mod drop_target;
pub mod focus;
pub mod footer;
pub mod header;
pub mod lens;
pub mod model_line;
pub mod notices;
pub mod number;
pub mod open_model;
pub mod outdated;
pub mod pictures;
pub mod popover;
pub mod problem;
pub mod roving;
pub mod run_row;
pub mod term;
pub mod theme;
pub mod token_stream;
